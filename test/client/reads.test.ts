/** Reads find the leader wherever it is, and nobody who does not lead answers them. */
import { expect, test } from "vitest";
import { type CallSettings, DEFAULT_CALL } from "../../ts/client/call.ts";
import { encodeValue } from "../../ts/codec/value.ts";
import { resultValue } from "../../ts/host/replica.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { Refusal } from "../../ts/machine/machine.ts";
import { EVENT_TYPE } from "../../ts/native/frames.ts";
import { event, events } from "../host/support.ts";
import { Network, type Node, SHORT } from "./network.ts";

const GROUP = 9;
const STALE: CallSettings = { ...DEFAULT_CALL, consistency: "stale" };

const module = {
  init: () => ({ value: "first" }),
  command: (_state: { value: string }, arg: unknown): [unknown, { value: string }] => [
    null,
    { value: String(arg) },
  ],
  query(state: { value: string }, arg: unknown): unknown {
    if (arg === "fail") throw new Error("no");
    return arg === "object" ? { state, list: [undefined] } : state.value;
  },
};

/** Node 1 has no replica; 2 and 3 have, and 3 leads with the newer state. */
function cluster() {
  const network = new Network([1, 2, 3]);
  network.members.set(GROUP, [2, 3]);
  for (const id of [2, 3]) {
    const node = network.node(id);
    node.attach(GROUP, () => new DataMachine(module));
    node.apply(GROUP, { argument: "old" });
    node.follow(GROUP, 3);
  }
  network.node(3).apply(GROUP, { argument: "new" });
  network.node(3).lease(GROUP, true);
  const [one, two, three] = [1, 2, 3].map((id) => network.node(id)) as [Node, Node, Node];
  return { network, one, two, three };
}

async function read(node: Node, argument: unknown = "value", call: CallSettings = DEFAULT_CALL) {
  const result = await node.reads.read(GROUP, encodeValue(argument), call, { group: "g" });
  return result instanceof Refusal ? result : resultValue(result);
}

test("a node without a replica finds the leader, and remembers it", async () => {
  const { one, two, three } = cluster();
  expect(await read(one)).toBe("new");
  expect([two.called, three.called]).toEqual([1, 1]);
  expect(await read(one, "object")).toEqual({ state: { value: "new" }, list: [undefined] });
  expect([two.called, three.called]).toEqual([1, 2]);
  expect(await read(two)).toBe("new");
  expect(three.called).toBe(3);
});

test("reads of one tick to one node share a call, each with its own answer", async () => {
  const { one, three } = cluster();
  await read(one);
  const before = three.called;
  const answers = await Promise.all([read(one), read(one, "fail"), read(one, "object")]);
  expect(three.called).toBe(before + 1);
  expect(answers[0]).toBe("new");
  expect(answers[1]).toMatchObject({ code: "QUERY_FAILED" });
  expect(answers[2]).toMatchObject({ state: { value: "new" } });
});

test("a leader without a lease answers only after it was confirmed", async () => {
  const { one, three } = cluster();
  three.lease(GROUP, false);
  let answered = 0;
  const reads = [read(one), read(three)].map((it) => it.finally(() => answered++));
  const { readsAsked } = three.made.seam;
  while (readsAsked.length === 0) await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(answered).toBe(0);
  // What is applied before the confirmation comes has to be seen.
  three.apply(GROUP, { argument: "newest" });
  for (let round = 0; answered < 2; round++) {
    while (readsAsked.length <= round && answered < 2) await new Promise(setImmediate);
    const asked = readsAsked[round];
    if (asked) three.host.receive(events.readReady(GROUP, asked.number), false);
    await new Promise(setImmediate);
  }
  expect(await Promise.all(reads)).toEqual(["newest", "newest"]);
});

test("a leader that nobody confirms answers nothing, and the new one is found", async () => {
  const { one, two, three } = cluster();
  await read(one);
  three.lease(GROUP, false);
  two.apply(GROUP, { argument: "newer" });
  two.lead(GROUP);
  const asking = read(one);
  const here = read(three);
  const { readsAsked } = three.made.seam;
  while (readsAsked.length === 0) await new Promise(setImmediate);
  for (let round = 0; round < 2; round++) {
    readsAsked[round]?.fail(new Error("no quorum"));
    await new Promise(setImmediate);
  }
  readsAsked[readsAsked.length - 1]?.fail(new Error("no quorum"));
  expect(await asking).toBe("newer");
  expect(await here).toBe("newer");
});

test("nobody leads: NO_LEADER after the call's time, TIMEOUT when the leader is silent", async () => {
  const { network, one, two, three } = cluster();
  three.follow(GROUP, 0);
  two.follow(GROUP, 0);
  const target = { group: "g" };
  await expect(read(one, "value", SHORT)).rejects.toMatchObject({ code: "NO_LEADER", ...target });
  await expect(read(two, "value", SHORT)).rejects.toMatchObject({ outcome: "not applied" });
  two.state = "silent";
  three.state = "silent";
  await expect(read(one, "value", SHORT)).rejects.toMatchObject({ code: "TIMEOUT", ...target });
  network.members.set(GROUP, []);
  await expect(read(one, "value", SHORT)).rejects.toMatchObject({ code: "NO_LEADER" });
});

test("a leader that dies is given up for the one that follows it", async () => {
  for (const state of ["down", "silent"] as const) {
    const { one, two, three } = cluster();
    await read(one);
    three.state = state;
    const call = { ...DEFAULT_CALL, timeout: 40, retryInterval: 10_000 };
    const asking = read(one, "value", call);
    setTimeout(() => two.lead(GROUP), 100);
    expect(await asking).toBe("old");
  }
});

test("a replica that waits for a leader answers as soon as it leads itself", async () => {
  const { network, two } = cluster();
  network.members.set(GROUP, [2]);
  two.follow(GROUP, 0);
  const asking = read(two);
  await new Promise(setImmediate);
  two.lead(GROUP);
  expect(await asking).toBe("old");
});

test("a stale read is answered here, or by any member, but not from half a snapshot", async () => {
  const { one, two, three } = cluster();
  expect(await read(two, "value", STALE)).toBe("old");
  expect(two.called + three.called).toBe(0);
  expect(["old", "new"]).toContain(await read(one, "value", STALE));
  two.host.receive(event(EVENT_TYPE.installSnapshot, GROUP, []), false);
  three.lease(GROUP, false);
  three.follow(GROUP, 0);
  expect(await read(two, "value", STALE)).toBe("new");
});

test("a replica to which nothing was applied answers a stale read when nobody else does", async () => {
  const network = new Network([1, 2]);
  network.members.set(GROUP, [1, 2]);
  network.node(2).state = "down";
  network.node(1).attach(GROUP, () => new DataMachine(module));
  expect(await read(network.node(1), "value", STALE)).toBe("first");
});

test("a caller's signal ends a read, before and while it is asked", async () => {
  const { one, three } = cluster();
  const aborted = { ...DEFAULT_CALL, signal: AbortSignal.abort() };
  await expect(read(one, "value", aborted)).rejects.toMatchObject({ code: "ABORTED" });
  await read(one);
  three.state = "silent";
  const controller = new AbortController();
  const call = { ...DEFAULT_CALL, timeout: 100_000, signal: controller.signal };
  const asking = read(one, "value", call);
  setImmediate(() => controller.abort());
  await expect(asking).rejects.toMatchObject({ code: "ABORTED", group: "g" });
});

test("who leads is asked of others where this node has no replica", async () => {
  const { one, two, three } = cluster();
  expect(await one.reads.leader(GROUP, SHORT)).toBe(3);
  expect(await two.reads.leader(GROUP, SHORT)).toBe(3);
  two.follow(GROUP, 0);
  three.follow(GROUP, 0);
  expect(await one.reads.leader(GROUP, SHORT)).toBe(0);
});

test("questions of one tick about who leads share a call per node", async () => {
  const network = new Network([1, 2, 3]);
  const groups = [11, 12, 13, 14];
  for (const group of groups) {
    network.members.set(group, [2, 3]);
    network.node(2).attach(group, () => new DataMachine(module));
    network.node(2).follow(group, group % 2 === 0 ? 2 : 3);
  }
  const { reads } = network.node(1);
  const leaders = await Promise.all(groups.map((group) => reads.leader(group, SHORT)));
  expect(leaders).toEqual([3, 2, 3, 2]);
  expect([network.node(2).called, network.node(3).called]).toEqual([1, 0]);
});

test("a call of reads that is none is refused", async () => {
  const { one } = cluster();
  for (const reads of [undefined, 5, [5], [["9", 0, new Uint8Array(0)]], [[9, 0, "x"]]]) {
    const call = one.calls.call(3, { type: "read", reads }, 100);
    await expect(call).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  }
});
