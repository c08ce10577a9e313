/** RaftKV's scenario: 1,000 clients count while the keyspace has 4, then 8, then 4 shards. */
import { expect, it } from "vitest";
import { counterModule } from "../support/modules.ts";
import { openNode, QUICK } from "../support/nodes.ts";
import { collect, shardsServing, sleep } from "../support/waiting.ts";

const CLIENTS = 1_000;
const BETWEEN_COMMANDS_MS = 20;

/** A policy under which a keyspace of 1,000 keys has exactly `shards` shards. */
function exactly(shards: number) {
  // Every shard is too full for fewer shards and too small to stay alone: the bounds decide.
  return { maxShards: shards, minShards: shards, maxKeysPerShard: 10 };
}

it("counts exactly through 4, 8 and 4 shards", async () => {
  const node = await openNode(QUICK);
  const counters = await node.kv.registerKeyspace("count", counterModule, null, exactly(4));
  let running = true;
  const counts = new Array<number>(CLIENTS).fill(0);
  const clients = counts.map(async (_, client) => {
    while (running) {
      const count = (counts[client] as number) + 1;
      expect(await counters.command(client, "add")).toBe(count);
      counts[client] = count;
      expect(await counters.query(client, "get")).toBe(count);
      await sleep(BETWEEN_COMMANDS_MS);
    }
  });

  await shardsServing(node, "count", 4);
  await node.kv.setKeyspacePolicy("count", exactly(8));
  await shardsServing(node, "count", 8);
  await node.kv.setKeyspacePolicy("count", {
    maxShards: 4,
    minShards: 4,
    maxKeysPerShard: 1_000_000,
  });
  const shards = await shardsServing(node, "count", 4);
  running = false;
  await Promise.all(clients);

  for (const [client, count] of counts.entries()) {
    expect(await counters.query(client, "get")).toBe(count);
  }
  expect(shards[0]?.start).toBe(0);
  expect(shards.at(-1)?.end).toBe(2 ** 27);
  for (const [at, shard] of shards.slice(1).entries()) expect(shard.start).toBe(shards[at]?.end);
  const keys = (await collect(counters.keys())) as number[];
  expect(keys.sort((a, b) => a - b)).toEqual(counts.map((_, client) => client));
}, 60_000);
