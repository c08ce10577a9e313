/** RaftKV's scenario: the names of shards, in the order of their ranges, and the keys in each. */
import { expect, it } from "vitest";
import { mapModule } from "../support/modules.ts";
import { openNode, QUICK } from "../support/nodes.ts";
import { collect, shardNames, shardsServing } from "../support/waiting.ts";

it("folds over shard names in ascending order, and lists each key in exactly one shard", async () => {
  const node = await openNode(QUICK);
  const policy = { maxShards: 8, minShards: 8, maxKeysPerShard: 10 };
  const keyspace = await node.kv.registerKeyspace("list", mapModule, null, policy);
  expect(await shardNames(node, "list")).toEqual(["list_0"]);
  expect(await node.kv.listKeysInShard("list_0")).toEqual([]);

  const keys = Array.from({ length: 2_500 }, (_, at) => at);
  await Promise.all(keys.map((key) => keyspace.command(key, { set: key })));
  const shards = await shardsServing(node, "list", 8);
  const names = await shardNames(node, "list");
  expect(names).toEqual(shards.map(({ name }) => name));
  expect(names).toEqual(shards.map(({ start }) => `list_${start}`));
  const starts = shards.map(({ start }) => start);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));

  const listed: unknown[] = [];
  for (const { name, keys: count } of shards) {
    const inShard = await node.kv.listKeysInShard(name);
    expect(inShard.length).toBe(count);
    listed.push(...inShard);
  }
  expect(listed.length).toBe(keys.length);
  expect(new Set(listed)).toEqual(new Set(keys));
  const walked = await collect(keyspace.keys());
  expect(walked.length).toBe(keys.length);
  expect(new Set(walked)).toEqual(new Set(keys));
});

it("walks every key exactly once while shards split and merge under the walk", async () => {
  const node = await openNode(QUICK);
  const many = { maxShards: 16, minShards: 1, maxKeysPerShard: 100 };
  const few = { maxShards: 16, minShards: 1, maxKeysPerShard: 1_000_000 };
  const keyspace = await node.kv.registerKeyspace("walk", mapModule, null, few);
  const keys = Array.from({ length: 3_000 }, (_, at) => `key-${at}`);
  await Promise.all(keys.map((key) => keyspace.command(key, { set: 1 })));
  let moves = 0;
  node.kv.events.on("split", () => moves++);
  node.kv.events.on("merge", () => moves++);
  for (let round = 0; round < 6; round++) {
    await node.kv.setKeyspacePolicy("walk", round % 2 === 0 ? many : few);
    const walked: unknown[] = [];
    for await (const key of keyspace.keys()) {
      walked.push(key);
      if (walked.length % 300 === 0) await new Promise((resolve) => setTimeout(resolve, 15));
    }
    expect(walked.length).toBe(keys.length);
    expect(new Set(walked)).toEqual(new Set(keys));
  }
  expect(moves).toBeGreaterThan(0);
});

it("gives the accumulator back when the reducer says nothing else, and its error when it throws", async () => {
  const node = await openNode();
  await node.kv.registerKeyspace("fold", mapModule, null, { maxShards: 1 });
  expect(await node.kv.reduceKeyspaceShardNames("fold", 7, (_name, count) => count)).toBe(7);
  const thrown = new Error("from the reducer");
  const folding = node.kv.reduceKeyspaceShardNames("fold", 0, () => {
    throw thrown;
  });
  await expect(folding).rejects.toSatisfy(
    (error) => error === thrown || (error as Error).cause === thrown,
  );
});
