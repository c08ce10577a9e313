/** Nodes become one cluster, and any of them can be called. */
import { expect, it } from "vitest";
import { allKnow, freeAddresses, QUICK_CLUSTER, startCluster } from "../support/cluster.ts";
import { expectCode } from "../support/errors.ts";
import { counterModule, mapModule } from "../support/modules.ts";
import { newNode, scratchDirectory } from "../support/nodes.ts";
import { eventually } from "../support/waiting.ts";

const policy = { maxShards: 4, maxKeysPerShard: 1_000_000 };

it("three nodes that start at the same moment are one cluster", async () => {
  const { nodes } = await startCluster(3);
  await allKnow(nodes, 3);
  const names = await Promise.all(nodes.map((node) => node.fleet.nodeName()));
  const zones = await nodes[1]?.fleet.activeNodes();
  expect(Object.keys(zones ?? {}).sort()).toEqual(["a", "b", "c"]);
  expect(
    Object.values(zones ?? {})
      .flat()
      .sort(),
  ).toEqual([...names].sort());
});

it("a keyspace is called from every node, with one answer for all", async () => {
  const { nodes } = await startCluster(3);
  const keyspaces = await Promise.all(
    nodes.map(async (node) => {
      await node.kv.init();
      return node.kv.openKeyspace("counts", counterModule, null, policy);
    }),
  );
  const rounds = 20;
  for (let round = 1; round <= rounds; round++) {
    for (const [at, keyspace] of keyspaces.entries()) {
      expect(await keyspace.command("key", "add")).toBe((round - 1) * 3 + at + 1);
      for (const other of keyspaces) {
        expect(await other.query("key", "get")).toBe((round - 1) * 3 + at + 1);
      }
    }
  }
});

it("a node that joins later gets members, and one that has no code is called through others", async () => {
  const { nodes, addresses } = await startCluster(2);
  const [first] = nodes;
  for (const node of nodes) {
    await node.kv.init();
    await node.kv.openKeyspace("kv", mapModule, null, policy);
  }
  await first?.kv.command("kv", "key", { set: "value" });
  const [listen] = await freeAddresses(1);
  const third = newNode({ ...QUICK_CLUSTER, listen, seeds: addresses });
  await third.fleet.activate("c");
  await third.kv.init();
  expect(await third.kv.query("kv", "key", "get")).toBe("value");
  expect(await third.kv.command("kv", "key", { set: "other" })).toBe("ok");
  const names = await Promise.all(nodes.map((node) => node.fleet.nodeName()));
  const [elsewhere] = await third.kv.shards("kv");
  expect([...(elsewhere?.members ?? [])].sort()).toEqual([...names].sort());
  // It has no replica, and says all the same who leads.
  expect(names).toContain(elsewhere?.leader);
  expect(elsewhere?.leader).toBe((await first?.kv.shards("kv"))?.[0]?.leader);
  await third.kv.bindKeyspace("kv", mapModule);
  const name = await third.fleet.nodeName();
  await eventually("a member on the third node", async () => {
    const [shard] = await third.kv.shards("kv");
    return shard?.members.length === 3 && shard.members.includes(name);
  });
  expect(await third.kv.query("kv", "key", "get")).toBe("other");
});

it("a whole cluster that is closed comes back as itself, also at other addresses", async () => {
  const directories = [scratchDirectory(), scratchDirectory(), scratchDirectory()];
  const start = async () => {
    const addresses = await freeAddresses(3);
    const nodes = directories.map((dataDir, at) =>
      newNode({ ...QUICK_CLUSTER, dataDir, listen: addresses[at], seeds: addresses }),
    );
    await Promise.all(nodes.map((node) => node.fleet.activate("zone")));
    for (const node of nodes) {
      await node.kv.init();
      await node.kv.openKeyspace("kv", mapModule, null, policy);
    }
    return nodes;
  };
  const before = await start();
  const names = await Promise.all(before.map((node) => node.fleet.nodeName()));
  for (let key = 0; key < 100; key++) await before[key % 3]?.kv.command("kv", key, { set: key });
  await Promise.all(before.map((node) => node.close()));
  const after = await start();
  expect(await Promise.all(after.map((node) => node.fleet.nodeName()))).toEqual(names);
  await allKnow(after, 3);
  for (let key = 0; key < 100; key++) {
    expect(await after[(key + 1) % 3]?.kv.query("kv", key, "get")).toBe(key);
  }
});

it("a node of another cluster, or of another name, is refused", async () => {
  const { addresses } = await startCluster(1);
  const [own, third] = await freeAddresses(2);
  const dataDir = scratchDirectory();
  const stranger = newNode({ ...QUICK_CLUSTER, dataDir, listen: own, seeds: [own as string] });
  await stranger.fleet.activate("zone");
  await stranger.close();
  const moved = newNode({ ...QUICK_CLUSTER, listen: third, seeds: addresses, clusterName: "x" });
  await expectCode(() => moved.fleet.activate("zone"), "CLUSTER_MISMATCH");
});
