/** Several engines of one process that reach each other over loopback, as hosts see them. */
import { afterEach, expect, test } from "vitest";
import type { RaftKVError } from "../../ts/errors.ts";
import type { GroupStatus, MemberAddress, NativeEngine } from "../../ts/native/engine.ts";
import { EVENT_TYPE, PEER_STATE, STREAM_REFUSAL } from "../../ts/native/frames.ts";
import { type Collector, carries, type Event, open, record } from "./support.ts";

const CLUSTER = 4_503_599_627_370_495;
const GROUP = 9;
const WAIT_MS = 20_000;
const bytes = (text: string) => new TextEncoder().encode(text);

interface Node {
  readonly engine: NativeEngine;
  readonly collector: Collector;
  readonly member: MemberAddress;
}

const opened: NativeEngine[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

async function start(cluster: number | null = CLUSTER, clusterName = "boundary"): Promise<Node> {
  const { engine, collector } = await open({
    heartbeatInterval: 100,
    electionTimeout: 600,
    clusterName,
  });
  opened.push(engine);
  const address = await engine.listen({ listen: "127.0.0.1:0" });
  if (cluster !== null) await engine.setCluster(cluster);
  return { engine, collector, member: { node: engine.identity().node, address } };
}

const long = (event: Event, word: number) =>
  (event.words[word]! >>> 0) + event.words[word + 1]! * 2 ** 32;

/** Opens what a leader wants here, as a host does that has the code. */
async function bindWanted({ engine, collector }: Node): Promise<void> {
  await collector.until(() => collector.of(EVENT_TYPE.memberWanted).length > 0);
  const [wanted] = collector.of(EVENT_TYPE.memberWanted);
  expect(wanted!.group).toBe(GROUP);
  expect(wanted!.bytes.subarray(16, 16 + wanted!.words[0]!).toString()).toBe("machine");
  await engine.bindGroup(GROUP);
}

/** The node that the group's members take for the leader, once all agree. */
async function leaderOf(nodes: readonly Node[]): Promise<Node> {
  for (;;) {
    const found = await Promise.all(nodes.map(({ engine }) => engine.groupStatus(GROUP)));
    const leader = nodes.find(({ member }) => found.every((it) => it.leader === member.node));
    if (leader !== undefined) return leader;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const settled = (nodes: readonly Node[], text: string) =>
  Promise.all(
    nodes.map(({ collector }) =>
      collector.until(() => collector.of(EVENT_TYPE.entry).some((it) => carries(it, bytes(text)))),
    ),
  );

/** Answers every call with its bytes behind "re: ". */
function answerCalls({ engine, collector }: Node): void {
  const answered = new Set<Event>();
  void collector.until(() => {
    for (const call of collector.of(EVENT_TYPE.call)) {
      if (answered.has(call)) continue;
      answered.add(call);
      const body = call.bytes.subarray(40, 40 + call.words[6]!);
      engine.answerCall(long(call, 0), Buffer.concat([bytes("re: "), body]));
    }
    return false;
  });
}

test("a group of three elects a leader, replicates, moves, shrinks and grows", async () => {
  const nodes = [await start(), await start(), await start()];
  const [first, second, third] = nodes as [Node, Node, Node];
  const members = nodes.map(({ member }) => member);
  await first.engine.createGroupWith(GROUP, bytes("machine"), members);
  await Promise.all([bindWanted(second), bindWanted(third)]);
  const leader = await leaderOf(nodes);
  for (const [at, node] of nodes.entries()) {
    const command = record(GROUP, 1, bytes(`from-${at}.`));
    node.engine.submit(command, command.length, 1);
  }
  for (const at of nodes.keys()) await settled(nodes, `from-${at}.`);

  const others = nodes.filter((node) => node !== leader);
  const heir = others[0]!;
  await leader.engine.transferLeader(GROUP, heir.member.node);
  await heir.collector.until(() => heir.collector.of(EVENT_TYPE.leaderReady).length > 0);
  const status: GroupStatus = await heir.engine.groupStatus(GROUP);
  expect(status).toMatchObject({ role: "leader", leader: heir.member.node, bound: true });
  expect(status.changing).toBe(false);
  expect(status.members.map((it) => it.voter)).toEqual([true, true, true]);
  const own = status.members.find((it) => it.node === heir.member.node);
  expect(own?.address).toBe(heir.member.address);

  await heir.engine.readIndex(GROUP, 77);
  const reads = () => heir.collector.of(EVENT_TYPE.readReady).map((it) => long(it, 0));
  await heir.collector.until(() => reads().includes(77));
  await expect(leader.engine.readIndex(GROUP, 1)).rejects.toMatchObject({ code: "NO_LEADER" });

  const voters = [heir.member.node, leader.member.node];
  await heir.engine.changeMembers(GROUP, voters, [others[1]!.member.node]);
  const demoted = await heir.engine.groupStatus(GROUP);
  const learner = demoted.members.find((it) => it.node === others[1]!.member.node);
  expect(learner?.voter).toBe(false);
  await heir.engine.changeMembers(GROUP, [heir.member.node], []);
  const gone = [leader, others[1]!];
  for (const { collector } of gone) {
    await collector.until(() => collector.of(EVENT_TYPE.memberRemoved).length === 1);
  }
  const alone = await heir.engine.groupStatus(GROUP);
  expect(alone.members.map((it) => it.node)).toEqual([heir.member.node]);
  const stranger = heir.engine.changeMembers(GROUP, [12345], []);
  await expect(stranger).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("a node without a replica gets the results of its commands from the leader's host", async () => {
  const [leader, caller] = [await start(), await start()];
  await leader.engine.createGroup(GROUP, bytes("machine"));
  await caller.engine.setMembersElsewhere(GROUP, [leader.member]);
  const command = record(GROUP, 1, bytes("remote"));
  caller.engine.submit(command, command.length, 1);
  await leader.collector.until(() => leader.collector.of(EVENT_TYPE.resultsWanted).length > 0);
  const [wanted] = leader.collector.of(EVENT_TYPE.resultsWanted);
  expect(carries(wanted!, bytes("remote"))).toBe(true);
  expect(leader.engine.giveResults(long(wanted!, 0), bytes("done"))).toBe(true);
  expect(leader.engine.giveResults(long(wanted!, 0), bytes("done"))).toBe(false);
  await caller.collector.until(() => caller.collector.of(EVENT_TYPE.results).length > 0);
  const [results] = caller.collector.of(EVENT_TYPE.results);
  expect(results!.bytes.subarray(16, 16 + results!.words[0]!).toString()).toBe("done");
});

test("hosts call each other, and hear who is up and down", async () => {
  const [caller, called] = [await start(), await start()];
  answerCalls(called);
  caller.engine.setNodeAddress(called.member.node, called.member.address);
  const answer = await caller.engine.callNode(called.member.node, bytes("hello"), WAIT_MS);
  expect(answer.toString()).toBe("re: hello");
  const [call] = called.collector.of(EVENT_TYPE.call);
  expect(call!.group).toBe(0);
  expect([long(call!, 2), call!.words[4], call!.words[5]]).toEqual([caller.member.node, 1, 1]);
  const there = await caller.engine.callAddress(called.member.address, bytes("you?"), WAIT_MS);
  expect(there).toMatchObject({ ...called.member, incarnation: 1, cluster: CLUSTER });
  expect(there.body.toString()).toBe("re: you?");

  const states = () => caller.collector.of(EVENT_TYPE.peerChanged);
  await caller.collector.until(() => states().length > 0);
  const node = called.member.node;
  expect(long(states()[0]!, 0)).toBe(node);
  expect([...states()[0]!.words.subarray(2, 4)]).toEqual([PEER_STATE.up, 1]);
  await called.engine.close();
  await caller.collector.until(() => states().some((it) => it.words[2] === PEER_STATE.down));
  const failed = await caller.engine.callNode(node, bytes("?"), WAIT_MS).catch((it) => it);
  expect(failed as RaftKVError).toMatchObject({ code: "NO_LEADER", outcome: "not applied" });
  caller.engine.forgetNode(node);
  const forgotten = await caller.engine.callNode(node, bytes("?"), WAIT_MS).catch((it) => it);
  expect(forgotten as RaftKVError).toMatchObject({ code: "NO_LEADER", outcome: "not applied" });
});

test("an unanswered call times out with an unknown outcome", async () => {
  const [caller, called] = [await start(), await start()];
  const failed = await caller.engine
    .callAddress(called.member.address, bytes("?"), 50)
    .catch((it) => it);
  expect(failed as RaftKVError).toMatchObject({ code: "TIMEOUT", outcome: "unknown" });
  for (const wrong of [0, -1, 1.5, 1e9]) {
    const call = caller.engine.callNode(1, bytes("?"), wrong);
    await expect(call).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  }
});

test("a stranger is refused, and both sides hear of it", async () => {
  const [ours, theirs] = [await start(), await start(17)];
  const call = ours.engine.callAddress(theirs.member.address, bytes("?"), WAIT_MS);
  await expect(call).rejects.toMatchObject({ code: "CLUSTER_MISMATCH" });
  for (const { collector } of [ours, theirs]) {
    await collector.until(() => collector.of(EVENT_TYPE.streamRefused).length > 0);
    const [refused] = collector.of(EVENT_TYPE.streamRefused);
    expect(refused!.words[2]).toBe(STREAM_REFUSAL.otherCluster);
    const text = refused!.bytes.subarray(28, 28 + refused!.words[3]!).toString();
    expect(text).toContain("cluster");
  }
  const named = await start(null, "another name");
  const other = named.engine.callAddress(ours.member.address, bytes("?"), WAIT_MS);
  await expect(other).rejects.toMatchObject({ code: "CLUSTER_MISMATCH" });
});

test("a cluster is chosen once, and an address that cannot be had has its code", async () => {
  const { engine, member } = await start(null);
  expect(engine.identity().cluster).toBe(0);
  await engine.setCluster(5);
  await engine.setCluster(5);
  expect(engine.identity().cluster).toBe(5);
  await expect(engine.setCluster(6)).rejects.toMatchObject({ code: "CLUSTER_MISMATCH" });
  const other = await open();
  opened.push(other.engine);
  const used = other.engine.listen({ listen: member.address });
  await expect(used).rejects.toMatchObject({ code: "ADDRESS_IN_USE" });
  const tls = { ca: "no PEM", cert: "", key: "" };
  for (const options of [{ listen: "nowhere" }, { listen: "127.0.0.1:0", tls }]) {
    await expect(other.engine.listen(options)).rejects.toMatchObject({ code: "INVALID_OPTION" });
  }
});
