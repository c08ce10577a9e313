/** Commands and reads from nodes that do not lead, or have no replica, over real engines. */
import { afterEach, expect, test } from "vitest";
import { DEFAULT_CALL } from "../../ts/client/call.ts";
import { NO_KEY } from "../../ts/client/client.ts";
import { groupRoute } from "../../ts/client/outbox.ts";
import { encodeValue } from "../../ts/codec/value.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { resultValue } from "../../ts/host/replica.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { Refusal } from "../../ts/machine/machine.ts";
import { EngineNode, type Members } from "./engines.ts";

const GROUP = 7;
/** Long enough for elections on a busy machine. */
const PATIENT = { ...DEFAULT_CALL, timeout: 1000, retry: 20, retryInterval: 100 };

/** A list that every command adds to. */
const list = {
  init: (): unknown[] => [],
  command(state: unknown[], arg: unknown): [unknown, unknown[]] {
    if (arg === "fail") throw new Error("no");
    return [{ length: state.length + 1, arg }, [...state, arg]];
  },
  query(state: unknown[], arg: unknown): unknown {
    if (arg === "fail") throw new Error("no");
    return arg === "list" ? state : state.length;
  },
};

const opened: EngineNode[] = [];
afterEach(async () => {
  for (const node of opened.splice(0)) await node.close();
});

/** Nodes of one cluster; the first `voters` of them are members of the group, led by the first. */
async function cluster(count: number, voters: number) {
  const members: Members = new Map();
  const nodes: EngineNode[] = [];
  for (let n = 0; n < count; n++) {
    const node = await EngineNode.open(members);
    opened.push(node);
    nodes.push(node);
    node.builders.set(GROUP, () => new DataMachine(list));
  }
  for (const node of nodes) {
    for (const other of nodes) {
      if (other !== node) node.engine.setNodeAddress(other.id, other.address);
    }
  }
  const [first] = nodes as [EngineNode];
  const inside = nodes.slice(0, voters);
  members.set(GROUP, inside);
  const replica = await first.create(GROUP);
  await first.until(() => replica.leading);
  for (const node of inside.slice(1)) {
    await first.engine.addLearner(GROUP, node.member);
    await first.engine.waitForMember(GROUP, node.id);
  }
  await first.engine.changeMembers(
    GROUP,
    inside.map(({ id }) => id),
    [],
  );
  for (const node of nodes.slice(voters)) {
    await node.engine.setMembersElsewhere(
      GROUP,
      inside.map(({ member }) => member),
    );
  }
  return { nodes, members };
}

function command(node: EngineNode, argument: unknown) {
  return node.client.command(groupRoute(GROUP), NO_KEY, argument, PATIENT);
}

async function query(node: EngineNode, argument: unknown, consistency = PATIENT.consistency) {
  const call = { ...PATIENT, consistency };
  const result = await node.reads.read(GROUP, encodeValue(argument), call, { group: "list" });
  return result instanceof Refusal ? result.code : resultValue(result);
}

test("any node commands and asks a group, with a replica or without, as its leader does", async () => {
  const { nodes } = await cluster(3, 2);
  let length = 0;
  for (let round = 0; round < 5; round++) {
    for (const [at, node] of nodes.entries()) {
      const argument = { at, round };
      expect(await command(node, argument)).toEqual({ length: ++length, arg: argument });
      expect(await Promise.all(nodes.map((it) => query(it, "length")))).toEqual([
        ...[length, length, length],
      ]);
    }
  }
  for (const node of nodes) {
    const failed = await command(node, "fail").catch((error: RaftKVError) => error);
    expect(failed).toBeInstanceOf(RaftKVError);
    expect(failed).toMatchObject({ code: "COMMAND_FAILED", message: "Error: no" });
    expect(await query(node, "fail")).toBe("QUERY_FAILED");
    expect(node.failures).toEqual([]);
  }
});

test("a node without a replica is answered once for each of many commands, in call order", async () => {
  const { nodes } = await cluster(3, 2);
  const outside = nodes[2]!;
  const calls = Array.from({ length: 3000 }, (_, at) => command(outside, at));
  const answers = (await Promise.all(calls)) as { length: number; arg: number }[];
  expect(answers.map(({ arg }) => arg)).toEqual([...answers.keys()]);
  expect(answers.map(({ length }) => length)).toEqual(answers.map((_, at) => at + 1));
  expect(await query(outside, "list")).toEqual([...answers.keys()]);
  expect([...outside.answers.values()].every((times) => times === 1)).toBe(true);
  expect(outside.host.replica(GROUP)).toBeUndefined();
});

test("a leader whose host is behind does not answer without what a follower acknowledged", async () => {
  const { nodes } = await cluster(2, 2);
  const [leader, follower] = nodes as [EngineNode, EngineNode];
  for (let round = 1; round <= 5; round++) {
    leader.holdEvents();
    await command(follower, round);
    expect(leader.host.replica(GROUP)!.applied).toBeLessThan(follower.host.replica(GROUP)!.applied);
    const reads = [query(leader, "length"), query(follower, "length")];
    leader.releaseEvents();
    expect(await Promise.all(reads)).toEqual([round, round]);
  }
});

test("calls follow the leader from node to node, and nothing is lost or doubled", async () => {
  const { nodes } = await cluster(4, 3);
  const outside = nodes[3]!;
  const acknowledged: string[] = [];
  let stop = false;
  let behind = 0;
  const work = async (name: string) => {
    for (let n = 0; !stop; n++) {
      const argument = `${name}-${n}`;
      await command(outside, argument);
      acknowledged.push(argument);
      const known = acknowledged.length;
      if (((await query(outside, "length")) as number) < known) behind++;
    }
  };
  const workers = ["a", "b", "c"].map(work);
  for (const to of [1, 2, 0, 1]) {
    const from = nodes.slice(0, 3).find((it) => it.host.replica(GROUP)?.leading)!;
    const before = acknowledged.length;
    await from.engine.transferLeader(GROUP, nodes[to]!.id);
    await nodes[to]!.until(() => nodes[to]!.host.replica(GROUP)!.leading);
    await outside.until(() => acknowledged.length >= before + 20);
  }
  stop = true;
  await Promise.all(workers);
  expect(behind).toBe(0);
  const stored = (await query(outside, "list")) as string[];
  expect(new Set(stored).size).toBe(stored.length);
  expect(new Set(stored)).toEqual(new Set(acknowledged));
  const leader = await outside.reads.leader(GROUP, DEFAULT_CALL);
  expect(leader).toBe(nodes[1]!.id);
});

test("the others go on when the leader's node dies", async () => {
  const { nodes } = await cluster(4, 3);
  const [first, second, , outside] = nodes as [EngineNode, EngineNode, EngineNode, EngineNode];
  await command(outside, "before");
  await opened.splice(opened.indexOf(first), 1)[0]!.close();
  expect(await query(second, "length")).toBe(1);
  expect(await query(outside, "length")).toBe(1);
  await command(outside, "after");
  expect(await query(second, "list")).toEqual(["before", "after"]);
  expect(await query(outside, "list")).toEqual(["before", "after"]);
});

test("a stale read is answered without a leader", async () => {
  const { nodes } = await cluster(3, 2);
  const [first, second, outside] = nodes as [EngineNode, EngineNode, EngineNode];
  await command(outside, "kept");
  const replica = second.host.replica(GROUP)!;
  await new Promise<void>((resolve) => {
    if (replica.applied > 0) resolve();
    else replica.onApplied = resolve;
  });
  await opened.splice(opened.indexOf(first), 1)[0]!.close();
  expect(await query(second, "list", "stale")).toEqual(["kept"]);
  expect(await query(outside, "list", "stale")).toEqual(["kept"]);
});
