/** The cluster for tests of programs: killed, partitioned and moved as its users do that. */
import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { createNode } from "../../ts/index.ts";
import { createTestCluster, type TestCluster, type TestNode } from "../../ts/testing/index.ts";
import { expectCode } from "../node/support/errors.ts";
import { counterModule } from "../node/support/modules.ts";

const KEY = "a";
const PATIENT = { timeout: 2_000, retry: 20, retryInterval: 100 };

function openCounters(node: TestNode) {
  return node.kv.openKeyspace("counters", counterModule, null, { maxShards: 16 });
}

const add = async (node: TestNode, key = KEY) =>
  Number(await node.kv.command("counters", key, "add", PATIENT));
const count = (node: TestNode, key = KEY) => node.kv.query("counters", key, "get", PATIENT);

function others(cluster: TestCluster, node: TestNode): [TestNode, TestNode] {
  return cluster.nodes.filter((other) => other !== node) as [TestNode, TestNode];
}

it("goes on without a leader that was killed, which comes back with all it had", async () => {
  await using cluster = await createTestCluster({ start: openCounters });
  const { nodes } = cluster;
  expect(nodes.map(({ zone, index }) => [zone, index])).toEqual([
    ["zone-1", 0],
    ["zone-2", 1],
    ["zone-3", 2],
  ]);
  expect(nodes.every(({ running }) => running)).toBe(true);
  await cluster.settled();
  const leader = await cluster.leaderOf("counters_0");
  const [second, third] = others(cluster, leader);
  let acknowledged = 0;
  const adding = (async () => {
    while (acknowledged < 200) acknowledged = await add(second);
  })();
  await cluster.waitFor("some commands", () => acknowledged > 20);
  const unanswered = add(leader, "another").then(
    () => null,
    (error: unknown) => error,
  );
  const before = { name: leader.name, address: leader.address };
  await cluster.kill(leader);
  await cluster.kill(leader);
  expect(leader.running).toBe(false);
  expect([null, "CLOSED"]).toContain(
    ((await unanswered) as { code?: string } | null)?.code ?? null,
  );
  await expectCode(() => add(leader), "NOT_ACTIVE");
  expect((await cluster.leaderOf("counters_0")).running).toBe(true);
  await adding;
  await cluster.waitFor(
    "the others to miss it",
    async () => leader.name in (await third.fleet.unreachableNodes()),
  );
  await cluster.restart(leader);
  await cluster.settled();
  expect({ name: leader.name, address: leader.address }).toEqual(before);
  for (const node of nodes) expect(await count(node)).toBe(200);
  expect(Object.keys(await third.fleet.unreachableNodes())).toEqual([]);
});

it("keeps what was acknowledged when all nodes are killed at once", async () => {
  await using cluster = await createTestCluster({ start: openCounters, zones: ["a", "b"] });
  expect(cluster.nodes.map(({ zone }) => zone)).toEqual(["a", "b", "a"]);
  const keys = Array.from({ length: 50 }, (_, at) => `key ${at}`);
  await Promise.all(keys.map((key) => add(cluster.nodes[0]!, key)));
  const unheard = keys.map((key) => add(cluster.nodes[1]!, key).catch(() => undefined));
  await Promise.all(cluster.nodes.map((node) => cluster.kill(node)));
  await Promise.all(unheard);
  await Promise.all(cluster.nodes.map((node) => cluster.restart(node)));
  const counts = await Promise.all(keys.map((key) => count(cluster.nodes[2]!, key)));
  expect(counts.every((value) => value === 1 || value === 2)).toBe(true);
});

it("splits and merges shards while the program goes on, and grows", async () => {
  await using cluster = await createTestCluster({ nodes: 1, start: openCounters });
  const [first] = cluster.nodes as [TestNode];
  const keys = Array.from({ length: 40 }, (_, at) => `key ${at}`);
  await Promise.all(keys.map((key) => add(first, key)));
  expect(await cluster.split("counters")).toEqual({
    from: "counters_0",
    to: "counters_67108864",
  });
  const added = await cluster.addNode("elsewhere");
  expect(added.zone).toBe("elsewhere");
  await cluster.split("counters", "counters_67108864");
  await Promise.all(keys.map((key) => add(added, key)));
  const names = async () => (await added.kv.shards("counters")).map(({ name }) => name);
  expect(await names()).toHaveLength(3);
  const last = (await names())[2]!;
  expect(await cluster.merge("counters")).toEqual({ from: last, to: "counters_67108864" });
  await cluster.merge("counters", "counters_67108864");
  expect(await names()).toEqual(["counters_0"]);
  for (const key of keys) expect(await count(first, key)).toBe(2);
  await expectCode(() => cluster.merge("counters"), "MERGE_IMPOSSIBLE");
  await expectCode(() => cluster.split("counters", "nothing_0"), "NO_SUCH_SHARD");
});

it("cuts a leader off from the others, who go on, and heals", async () => {
  await using cluster = await createTestCluster({ start: openCounters });
  await cluster.settled();
  const leader = await cluster.leaderOf("counters_0");
  const rest = others(cluster, leader);
  expect(await add(leader)).toBe(1);
  cluster.partition([leader], rest);
  await expectCode(
    () => leader.kv.command("counters", KEY, "add", { timeout: 100, retry: 0 }),
    "TIMEOUT",
    "NO_LEADER",
  );
  const next = await cluster.leaderOf("counters_0", rest[0]);
  expect(rest).toContain(next);
  expect(await add(rest[1])).toBeGreaterThanOrEqual(2);
  // Nobody is served what is old: its lease is over, and it hears of no newer one.
  await cluster.waitFor("the lease to end", () =>
    leader.kv.query("counters", KEY, "get", { timeout: 100, retry: 0 }).then(
      () => false,
      () => true,
    ),
  );
  expect(await leader.kv.query("counters", KEY, "get", { consistency: "stale" })).toBe(1);
  cluster.heal();
  await cluster.settled();
  const counts = await Promise.all(cluster.nodes.map((node) => count(node)));
  expect(new Set(counts).size).toBe(1);
  expect(counts[0]).toBeGreaterThanOrEqual(2);
});

it("keeps a node cut off that is restarted, until it heals", async () => {
  await using cluster = await createTestCluster({ start: openCounters });
  await cluster.settled();
  const [first, second, third] = cluster.nodes as [TestNode, TestNode, TestNode];
  cluster.partition([third], [first, second]);
  await cluster.kill(third);
  const restarted = cluster.restart(third);
  expect(await add(first)).toBe(1);
  expect(await add(second)).toBe(2);
  expect(third.name in (await first.fleet.unreachableNodes())).toBe(true);
  cluster.heal();
  await restarted;
  await cluster.settled();
  expect(await count(third)).toBe(2);
});

it("blocks one way: a leader that cannot reach the others is followed by another", async () => {
  await using cluster = await createTestCluster({ start: openCounters });
  await cluster.settled();
  const leader = await cluster.leaderOf("counters_0");
  const rest = others(cluster, leader);
  cluster.block([leader], rest);
  expect(await cluster.leaderOf("counters_0")).not.toBe(leader);
  expect(await add(rest[0])).toBe(1);
  cluster.heal();
  await cluster.settled();
  expect(await count(leader)).toBe(1);
});

it("closes a node as a service does, and restarts one that runs", async () => {
  await using cluster = await createTestCluster({ nodes: 2, start: openCounters });
  const [first, second] = cluster.nodes as [TestNode, TestNode];
  await add(first);
  await cluster.restart(second);
  expect(await add(second)).toBe(2);
  await second.close();
  expect([first.running, second.running]).toEqual([true, false]);
  await cluster.restart(second);
  expect(await count(second)).toBe(2);
});

it("leaves nothing behind, and says what is wrong", async () => {
  const cluster = await createTestCluster({ nodes: 1 });
  const [node] = cluster.nodes as [TestNode];
  expect(existsSync(node.dataDir)).toBe(true);
  const stranger = createNode() as TestNode;
  await expectCode(() => cluster.kill(stranger), "INVALID_ARGUMENT");
  await expectCode(async () => cluster.partition([node]), "INVALID_ARGUMENT");
  await expectCode(async () => cluster.partition([node], [node]), "INVALID_ARGUMENT");
  await expectCode(async () => cluster.block([stranger], [node]), "INVALID_ARGUMENT");
  await expectCode(async () => cluster.block(node as never, [node]), "INVALID_ARGUMENT");
  await expectCode(() => cluster.split("nothing"), "NO_SUCH_KEYSPACE");
  await cluster.close();
  await cluster.close();
  expect([node.running, existsSync(node.dataDir)]).toEqual([false, false]);
  await expectCode(() => cluster.restart(node), "CLOSED");
  await expectCode(() => cluster.addNode(), "CLOSED");
  await expectCode(async () => cluster.heal(), "CLOSED");
  for (const wrong of [
    7,
    { nodes: 0 },
    { nodes: 1.5 },
    { zone: ["a"] },
    { zones: "a" },
    { start: 1 },
    { timeout: 0 },
    { options: { dataDir: "." } },
    { options: { listen: "127.0.0.1:1" } },
    { options: { heartbeatInterval: -1 } },
    { options: 7 },
  ]) {
    await expectCode(() => createTestCluster(wrong as never), "INVALID_OPTION");
  }
  await expectCode(() => createTestCluster({ zones: [""] }), "INVALID_ZONE");
  const fails = createTestCluster({
    nodes: 1,
    start: () => {
      throw new Error("the service does not start");
    },
  });
  await expect(fails).rejects.toThrow("the service does not start");
  const quick = await createTestCluster({ nodes: 1, timeout: 30 });
  await expectCode(() => quick.waitFor("what never comes", () => undefined), "TIMEOUT");
  await quick.close();
});
