/** Nodes of one process are independent; a data directory belongs to one node at a time. */
import { expect, it } from "vitest";
import { RaftFleet } from "../../../ts/index.ts";
import { expectCode } from "../support/errors.ts";
import { counterModule, mapModule } from "../support/modules.ts";
import { newNode, openNode, scratchDirectory } from "../support/nodes.ts";

const policy = { maxShards: 1 };

it("keeps nodes apart: names, keyspaces, values, events, closing", async () => {
  const nodes = await Promise.all(
    ["zone", "zone", "zone"].map((_, at) =>
      openNode(at === 2 ? { dataDir: scratchDirectory() } : {}),
    ),
  );
  const names = await Promise.all(nodes.map(({ fleet }) => fleet.nodeName()));
  expect(new Set(names).size).toBe(3);
  for (const [at, { kv }] of nodes.entries()) {
    await kv.registerKeyspace(
      "same",
      at === 0 ? mapModule : (counterModule as never),
      null,
      policy,
    );
  }
  await nodes[0]?.kv.command("same", "key", { set: "map" });
  await nodes[1]?.kv.command("same", "key", "add");
  expect(await nodes[0]?.kv.query("same", "key", "get")).toBe("map");
  expect(await nodes[1]?.kv.query("same", "key", "get")).toBe(1);
  expect(await nodes[2]?.kv.query("same", "key", "get")).toBeUndefined();
  await nodes[0]?.kv.deregisterKeyspace("same");
  expect(await nodes[1]?.kv.listKeyspaces()).toEqual(["same"]);
  expect(nodes[0]?.kv.events).not.toBe(nodes[1]?.kv.events);
  await nodes[0]?.close();
  expect(await nodes[1]?.kv.command("same", "key", "add")).toBe(2);
  expect(await nodes[2]?.kv.command("same", "key", "add")).toBe(1);
});

it("is apart from the default node", async () => {
  await openNode();
  await expectCode(() => RaftFleet.activeNodes(), "NOT_ACTIVE");
});

it("refuses a directory that is open in this process, naming it, until it is closed", async () => {
  const dataDir = scratchDirectory();
  const first = await openNode({ dataDir });
  await first.kv.registerKeyspace("k", counterModule, null, policy);
  await first.kv.command("k", "key", "add");
  const second = newNode({ dataDir });
  const error = await expectCode(() => second.fleet.activate("zone"), "DATA_DIR_LOCKED");
  expect(error.message).toContain(String(process.pid));
  expect(error.message).toContain(dataDir);
  expect(await first.kv.command("k", "key", "add")).toBe(2);
  await first.close();
  await second.fleet.activate("zone");
  await second.kv.init();
  const keyspace = await second.kv.openKeyspace("k", counterModule, null, policy);
  expect(await keyspace.query("key", "get")).toBe(2);
});

it("opens the same directory again and again, with everything in it", async () => {
  const dataDir = scratchDirectory();
  let name: string | undefined;
  for (let round = 1; round <= 10; round++) {
    const node = await openNode({ dataDir, durability: round % 2 === 0 ? "fsync" : "buffered" });
    name ??= await node.fleet.nodeName();
    expect(await node.fleet.nodeName()).toBe(name);
    const keyspace = await node.kv.openKeyspace("k", counterModule, null, policy);
    expect(await keyspace.command("key", "add")).toBe(round);
    await node.close();
  }
});

it("keeps nothing of a node in memory", async () => {
  const node = await openNode();
  const keyspace = await node.kv.registerKeyspace("k", counterModule, null, policy);
  await keyspace.command("key", "add");
  await node.fleet.deactivate();
  await node.fleet.activate("zone");
  await node.kv.init();
  expect(await node.kv.listKeyspaces()).toEqual([]);
});

it("takes options from arguments, then the environment, then the defaults", async () => {
  const fromEnvironment = scratchDirectory();
  const given = scratchDirectory();
  process.env.RAFT_KV_DATA_DIR = fromEnvironment;
  process.env.RAFT_KV_DURABILITY = "buffered";
  try {
    const explicit = newNode({ dataDir: given, durability: "fsync" });
    await explicit.fleet.activate("zone");
    expect(explicit.options).toMatchObject({ dataDir: given, durability: "fsync" });
    const implicit = newNode({ dataDir: undefined });
    await implicit.fleet.activate("zone");
    expect(implicit.options).toMatchObject({ dataDir: fromEnvironment, durability: "buffered" });
    expect(implicit.options).toMatchObject({ heartbeatInterval: 250, electionTimeout: 1_000 });
  } finally {
    delete process.env.RAFT_KV_DATA_DIR;
    delete process.env.RAFT_KV_DURABILITY;
  }
});
