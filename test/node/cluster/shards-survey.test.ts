/** What `shards()` says at a node that holds no replica, and while members move. */
import { expect, it } from "vitest";
import { freeAddresses, QUICK_CLUSTER, startCluster } from "../support/cluster.ts";
import { counterModule } from "../support/modules.ts";
import { newNode } from "../support/nodes.ts";
import { eventually } from "../support/waiting.ts";

it("a node without a replica says what the shard's leader says", async () => {
  const { nodes, addresses } = await startCluster(3);
  const [listen] = await freeAddresses(1);
  const caller = newNode({ ...QUICK_CLUSTER, listen, seeds: addresses });
  await caller.fleet.activate("d");
  await Promise.all([...nodes, caller].map((node) => node.kv.init()));
  const policy = { maxShards: 2, minShards: 2, maxKeysPerShard: 10 };
  for (const node of nodes) await node.kv.openKeyspace("kv", counterModule, null, policy);
  const here = nodes[0];
  if (here === undefined) throw new Error("no node");
  const keys = Array.from({ length: 60 }, (_, at) => `key-${at}`);
  await Promise.all(keys.map((key) => here.kv.command("kv", key, "add")));
  const names = await Promise.all(nodes.map((node) => node.fleet.nodeName()));
  const shards = await eventually("two whole shards, as the caller sees them", async () => {
    const found = await caller.kv.shards("kv");
    const whole = found.every(({ members, state }) => members.length === 3 && state === "serving");
    return found.length === 2 && whole && found;
  });
  expect(shards.reduce((sum, shard) => sum + shard.keys, 0)).toBe(keys.length);
  for (const { members, leader } of shards) {
    expect([...members].sort()).toEqual([...names].sort());
    expect(names).toContain(leader);
  }
  expect(await here.kv.shards("kv")).toMatchObject(
    shards.map(({ name, keys: count, state }) => ({ name, keys: count, state })),
  );
  // Where nobody answers, what the directory knows is better than nothing.
  await Promise.all(nodes.map((node) => node.close()));
  const left = await caller.kv.shards("kv");
  expect(left.map(({ name, state }) => [name, state])).toEqual(
    shards.map(({ name }) => [name, "unknown"]),
  );
  expect(left.map(({ members }) => members.length)).toEqual([3, 3]);
});
