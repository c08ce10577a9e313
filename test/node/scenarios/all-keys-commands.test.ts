/** RaftKV's scenario: one log entry runs a command on every key of a shard. */
import { expect, it } from "vitest";
import type { ValuePerKey } from "../../../ts/index.ts";
import { counterModule } from "../support/modules.ts";
import { openNode, QUICK } from "../support/nodes.ts";
import { shardNames, shardsServing } from "../support/waiting.ts";

const KEYS = 100;
const keys = Array.from({ length: KEYS }, (_, at) => `key-${at}`);

it("runs a command once on each key of the shard and on no other", async () => {
  const node = await openNode(QUICK);
  const policy = { maxShards: 2, minShards: 2, maxKeysPerShard: 10 };
  const counters = await node.kv.registerKeyspace("all", counterModule, null, policy);
  for (const key of keys) await counters.command(key, "add");
  const [first, second] = await shardsServing(node, "all", 2);
  if (first === undefined || second === undefined) throw new Error("there must be two shards");

  expect(await node.kv.commandOnAllKeysInShard(first.name, "add")).toBeUndefined();
  const inFirst = new Set(await node.kv.listKeysInShard(first.name));
  expect(inFirst.size).toBeGreaterThan(0);
  for (const key of keys) {
    expect(await counters.query(key, "get"), key).toBe(inFirst.has(key) ? 2 : 1);
  }

  await counters.commandOnAllKeys("remove");
  expect(await node.kv.listKeysInShard(first.name)).toEqual([]);
  expect(await node.kv.listKeysInShard(second.name)).toEqual([]);
  for (const key of keys) expect(await counters.query(key, "get")).toBeUndefined();
});

it("stays exact while clients run", async () => {
  const node = await openNode();
  const counters = await node.kv.registerKeyspace("all", counterModule, null, { maxShards: 1 });
  const counts = new Array<number>(KEYS).fill(1);
  for (const key of keys) await counters.command(key, "add");
  let running = true;
  const clients = keys.map(async (key, client) => {
    while (running) {
      await counters.command(key, "add");
      counts[client] = (counts[client] as number) + 1;
    }
  });
  const rounds = 50;
  for (let round = 0; round < rounds; round++)
    await node.kv.commandOnAllKeysInShard("all_0", "add");
  running = false;
  await Promise.all(clients);
  for (const [client, key] of keys.entries()) {
    expect(await counters.query(key, "get")).toBe((counts[client] as number) + rounds);
  }
});

it("meets each key once while shards split and merge", async () => {
  const node = await openNode(QUICK);
  const counters = await node.kv.registerKeyspace("all", counterModule, null, { maxShards: 1 });
  for (const key of keys) await counters.command(key, "add");
  let rounds = 0;
  let running = true;
  const caller = async () => {
    while (running) {
      await counters.commandOnAllKeys("add", { shardLockRetry: 50, shardLockRetryInterval: 20 });
      rounds++;
    }
  };
  const callers = Array.from({ length: 4 }, caller);
  const { admin } = node.fleet;
  const several = { maxShards: 8, minShards: 8, maxKeysPerShard: 1000 };
  await node.kv.setKeyspacePolicy("all", several);
  for (let turn = 0; turn < 4; turn++) {
    await admin.split("all_0");
    await admin.split("all_0");
    await node.kv.setKeyspacePolicy("all", { ...several, minShards: 1 });
    await shardsServing(node, "all", 1);
    await node.kv.setKeyspacePolicy("all", several);
  }
  running = false;
  await Promise.all(callers);
  expect(rounds).toBeGreaterThan(0);
  const counts = await Promise.all(keys.map((key) => counters.query(key, "get")));
  expect(counts).toEqual(keys.map(() => rounds + 1));
});

it("gives each key an argument of its own, and a key on which it throws stays as it was", async () => {
  type Value = { readonly list: number[]; readonly fails: boolean };
  type Command = { readonly make: Value } | { readonly list: number[] };
  const module: ValuePerKey<Value, string, Command, null, "get", Value> = {
    command: (previous, _size, _key, arg) => {
      if ("make" in arg) return [null, 1, arg.make, 1];
      if (previous?.fails) throw new Error("this key refuses");
      arg.list.push(arg.list.length);
      return [null, 1, { list: arg.list, fails: false }, 1];
    },
    query: (value) => [value, 1],
  };
  const node = await openNode();
  const keyspace = await node.kv.registerKeyspace("own", module, null, { maxShards: 1 });
  for (const key of ["a", "b", "c"]) {
    await keyspace.command(key, { make: { list: [], fails: key === "b" } });
  }
  await node.kv.commandOnAllKeysInShard("own_0", { list: [7] });
  expect(await keyspace.query("a", "get")).toEqual({ list: [7, 1], fails: false });
  expect(await keyspace.query("b", "get")).toEqual({ list: [], fails: true });
  expect(await keyspace.query("c", "get")).toEqual({ list: [7, 1], fails: false });
  expect(await shardNames(node, "own")).toEqual(["own_0"]);
});
