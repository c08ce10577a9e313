/** Traces of calls, and events, on `node:diagnostics_channel`. */
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { afterEach, expect, it } from "vitest";
import type { CallTrace, NodeOptions, RaftKVNode } from "../../ts/index.ts";
import { startCluster } from "./support/cluster.ts";
import { mapModule } from "./support/modules.ts";
import { openNode, QUICK } from "./support/nodes.ts";
import { eventually } from "./support/waiting.ts";

const policy = { maxShards: 4, maxKeysPerShard: 1_000_000 };
const STEPS = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;
const failing = {
  command: (): never => {
    throw new Error("wrong");
  },
  query: () => [0, 1] as [number, number],
};
const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** Everything that a tracing channel tells, as it is at that moment. */
function listen(name: string): { step: string; trace: CallTrace; as: CallTrace }[] {
  const told: { step: string; trace: CallTrace; as: CallTrace }[] = [];
  const channel = tracingChannel<unknown, CallTrace>(name);
  for (const step of STEPS) {
    const take = (message: unknown) => {
      const trace = message as CallTrace;
      told.push({ step, trace, as: { ...trace } });
    };
    channel[step].subscribe(take);
    stops.push(() => channel[step].unsubscribe(take));
  }
  return told;
}

async function openKeyspace(options: NodeOptions = {}): Promise<RaftKVNode> {
  const node = await openNode(options);
  await node.kv.openKeyspace("kv", mapModule, null, policy);
  return node;
}

it("a call is told of from its start to its end, without key and value", async () => {
  const { kv, fleet } = await openKeyspace();
  const commands = listen("raft-kv:command");
  const queries = listen("raft-kv:query");
  expect(await kv.command("kv", "secret", { set: "hidden" })).toBe("ok");
  expect(await kv.query("kv", "secret", "get")).toBe("hidden");
  const node = await fleet.nodeName();
  const begun = { node, keyspace: "kv", attempts: 1 };
  for (const told of [commands, queries]) {
    expect(told.map(({ step }) => step)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
    expect(told.map((message) => message.as)).toEqual([
      ...[begun, begun],
      ...[
        { ...begun, outcome: "ok" },
        { ...begun, outcome: "ok" },
      ],
    ]);
    expect(new Set(told.map(({ trace }) => trace)).size).toBe(1);
  }
});

it("a failed call is told of with its error, and fails as before", async () => {
  const { kv } = await openNode({ traceArguments: true });
  await kv.openKeyspace("kv", failing, null, policy);
  const commands = listen("raft-kv:command");
  const queries = listen("raft-kv:query");
  const failed = await kv.command("kv", "key", "throw").catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "COMMAND_FAILED" });
  const steps = ["start", "end", "error", "asyncStart", "asyncEnd"];
  expect(commands.map(({ step }) => step)).toEqual(steps);
  expect(commands[0]?.trace).toMatchObject({ key: "key", argument: "throw" });
  expect(commands[0]?.trace).toMatchObject({ outcome: "not applied", error: failed });
  // What is refused at the call is told of as well.
  const refused = await kv.query("none", "key", "get").catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "NO_SUCH_KEYSPACE" });
  expect(queries.map(({ step }) => step)).toEqual(steps);
  expect(queries[0]?.trace).toMatchObject({ keyspace: "none", error: refused });
});

it("calls of groups are told of, and what is bound to the start is there at the end", async () => {
  const { fleet } = await openNode();
  const module = {
    init: () => 0,
    command: (state: number, by: number): [number, number] => [state + by, state + by],
    query: (state: number) => state,
  };
  await fleet.addConsensusGroup("counter", 1, { module });
  const commands = listen("raft-kv:command");
  const storage = new AsyncLocalStorage<CallTrace>();
  const { start } = tracingChannel<unknown, CallTrace>("raft-kv:command");
  start.bindStore(storage, (trace) => trace as CallTrace);
  stops.push(() => start.unbindStore(storage));
  expect(await fleet.command("counter", 3)).toBe(3);
  const queries = listen("raft-kv:query");
  expect(await fleet.query("counter", null)).toBe(3);
  expect(await fleet.queryNonLeader("counter", null)).toBe(3);
  expect(commands[0]?.trace).toMatchObject({ group: "counter", outcome: "ok", attempts: 1 });
  expect(queries.filter(({ step }) => step === "asyncEnd")).toHaveLength(2);
});

it("attempts are counted while no leader answers", async () => {
  const { nodes } = await startCluster(3);
  for (const { kv } of nodes) {
    await kv.init();
    await kv.openKeyspace("kv", mapModule, null, policy);
  }
  const [left, ...leaving] = nodes as [RaftKVNode, RaftKVNode, RaftKVNode];
  await eventually("three members", async () => {
    const [shard] = await left.kv.shards("kv");
    return shard?.members.length === 3;
  });
  await Promise.all(leaving.map((node) => node.close()));
  const commands = listen("raft-kv:command");
  const queries = listen("raft-kv:query");
  const options = { timeout: 100, retry: 2, retryInterval: 50 };
  await expect(left.kv.command("kv", "key", { set: 1 }, options)).rejects.toThrow();
  await expect(left.kv.query("kv", "key", "get", options)).rejects.toThrow();
  expect(commands.at(-1)?.trace.attempts).toBeGreaterThan(1);
  expect(queries.at(-1)?.trace.attempts).toBeGreaterThan(1);
});

it("splits and leaders are told of on channels of their own", async () => {
  const told = { split: [] as unknown[], leaderChange: [] as unknown[] };
  for (const name of ["split", "leaderChange"] as const) {
    const take = (message: unknown) => told[name].push(message);
    subscribe(`raft-kv:${name}`, take);
    stops.push(() => unsubscribe(`raft-kv:${name}`, take));
  }
  const { kv } = await openNode(QUICK);
  await kv.registerKeyspace("kv", mapModule, null, { maxShards: 2, maxKeysPerShard: 10 });
  await Promise.all(Array.from({ length: 20 }, (_, at) => kv.command("kv", at, { set: at })));
  await eventually("a split", () => told.split.length > 0);
  expect(told.split[0]).toMatchObject({ keyspace: "kv", from: "kv_0", to: "kv_67108864" });
  expect(told.leaderChange).toContainEqual({ group: "kv_0", node: expect.any(String) });
});
