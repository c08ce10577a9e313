/** What an operator sees of a cluster and does to it, through any of its nodes. */
import { describe, expect, test } from "vitest";
import type { RaftKVNode } from "../../ts/index.ts";
import { allKnow, startCluster } from "../node/support/cluster.ts";
import { expectCode } from "../node/support/errors.ts";
import { counterModule } from "../node/support/modules.ts";
import { addGroups, inPlace } from "../node/support/placement.ts";
import { eventually } from "../node/support/waiting.ts";

async function openedCluster(): Promise<{ nodes: RaftKVNode[]; names: string[] }> {
  const { nodes } = await startCluster(3);
  await allKnow(nodes, 3);
  for (const node of nodes) await node.kv.init();
  for (const node of nodes) {
    await node.kv.openKeyspace("counts", counterModule, null, { maxShards: 8 });
  }
  await addGroups(nodes, ["alpha"]);
  await inPlace(nodes);
  return { nodes, names: await Promise.all(nodes.map((node) => node.fleet.nodeName())) };
}

describe("a cluster of three", () => {
  test("is described, moved, drained and judged from any node", async () => {
    const { nodes, names } = await openedCluster();
    const [first, second, third] = nodes as [RaftKVNode, RaftKVNode, RaftKVNode];
    await looks(first, names);
    await verifies(third, names);
    await transfers(second, names);
    await drains(third, names);
    await tells(first, third);
  });
});

async function looks({ fleet, kv }: RaftKVNode, names: readonly string[]): Promise<void> {
  const { admin } = fleet;
  for (let at = 0; at < 20; at++) await kv.command("counts", `key-${at}`, "add");
  await eventually("figures of all keys", async () => (await admin.status()).keys === 20);
  expect(await admin.status()).toMatchObject({
    clusterName: "raft-kv",
    healthy: true,
    problems: [],
    nodes: { total: 3, reachable: 3 },
    groups: { total: 4, withoutLeader: 0 },
    keyspaces: 1,
    shards: 1,
  });
  const known = await admin.nodes();
  expect(known.map(({ zone }) => zone)).toEqual(["a", "b", "c"]);
  expect(known.map(({ name }) => name).sort()).toEqual([...names].sort());
  for (const node of known) {
    expect(node).toMatchObject({ state: "active", voters: 4, unreachableSince: null });
    expect(node.memoryBytes).toBeGreaterThan(1e6);
  }
  expect(known.reduce((sum, { leads }) => sum + (leads ?? 0), 0)).toBe(4);
  const groups = await admin.groups();
  expect(groups.map(({ name, system }) => [name, system])).toEqual([
    ["RaftFleet.Fleet", true],
    ["RaftKV.Keyspaces", true],
    ["alpha", false],
    ["counts_0", false],
  ]);
  for (const { leader, state, members } of groups) {
    expect([state, names.includes(leader as string), members.length]).toEqual(["ok", true, 3]);
  }
  expect(await admin.keyspaces()).toMatchObject([{ name: "counts", keys: 20, replicas: 3 }]);
  expect(await admin.shards("counts")).toMatchObject([{ name: "counts_0", keys: 20 }]);
  const { shards } = await admin.top(1);
  expect(shards).toMatchObject([{ shard: "counts_0", keyspace: "counts", filled: 0 }]);
}

async function verifies({ fleet }: RaftKVNode, names: readonly string[]): Promise<void> {
  const { verified, groups } = await fleet.admin.verify();
  expect(groups.map(({ group, result }) => [group, result])).toEqual([
    ["alpha", "equal"],
    ["counts_0", "equal"],
  ]);
  expect(verified).toBe(true);
  const one = await fleet.admin.verify("alpha");
  expect(one.groups).toMatchObject([{ group: "alpha", result: "equal" }]);
  for (const [group, code] of [
    ["alpa", "NOT_FOUND"],
    ["RaftFleet.Fleet", "INVALID_ARGUMENT"],
  ] as const) {
    await expect(fleet.admin.verify(group)).rejects.toMatchObject({ code });
  }
  for (const { replicas } of groups) {
    expect(replicas.map(({ node }) => node).sort()).toEqual([...names].sort());
    expect(new Set(replicas.map(({ checksum }) => checksum)).size).toBe(1);
    expect(replicas[0]?.checksum).toMatch(/^[0-9a-f]{16}$/);
  }
}

async function transfers({ fleet }: RaftKVNode, names: readonly string[]): Promise<void> {
  const { admin } = fleet;
  for (const group of ["alpha", "counts_0", "RaftFleet.Fleet"]) {
    for (const node of names) {
      expect(await admin.transferLeader(group, node)).toEqual({ group, leader: node });
    }
  }
  const leads = async () => (await fleet.whereisLeader("alpha")) === names[2];
  await eventually("its leader", leads);
  // The one that is wanted stays: nothing moves the leader back.
  await inSteps(20, async () => expect(await leads()).toBe(true));
  await expectCode(() => admin.transferLeader("alfa", names[0] as string), "NOT_FOUND");
  const unknown = await expectCode(() => admin.transferLeader("alpha", "node-x"), "NOT_FOUND");
  expect(unknown.message).toContain("no node node-x");
}

async function drains({ fleet }: RaftKVNode, names: readonly string[]): Promise<void> {
  const { admin } = fleet;
  const [drained, other] = names as [string, string];
  await eventually("a node that may be stopped", async () => {
    return (await admin.safeToStop(drained)).safe;
  });
  expect(await admin.drain(drained)).toEqual({ node: drained, left: 0, done: true });
  // The node itself may learn a moment later that it leads no more.
  const view = await eventually("a node without leaders", async () => {
    const found = (await admin.nodes()).find(({ name }) => name === drained);
    return found?.leads === 0 && found;
  });
  expect(view).toMatchObject({ state: "drained", voters: 0 });
  for (const { members, leader } of await admin.groups()) {
    expect(members).not.toContain(drained);
    expect(leader).not.toBe(drained);
  }
  expect((await admin.safeToStop(drained)).safe).toBe(true);
  // Two are left of each group: none may go.
  const { safe, reasons } = await admin.safeToStop(other);
  expect(safe).toBe(false);
  expect(reasons.map(({ group }) => group)).toContain("alpha");
  expect(await admin.drain(drained, { undo: true })).toMatchObject({ node: drained });
  await eventually("voters on all nodes", async () => {
    return (await admin.nodes()).every(({ voters }) => voters === 4);
  });
}

/** What no majority answers for is said, by those that are left. */
async function tells(survivor: RaftKVNode, gone: RaftKVNode): Promise<void> {
  const { admin } = survivor.fleet;
  const lost = await gone.fleet.nodeName();
  await gone.close();
  await eventually("a lost node", async () => {
    const { healthy, problems } = await admin.status();
    return !healthy && problems.some((problem) => problem.includes(lost));
  });
  expect((await admin.nodes()).find(({ name }) => name === lost)).toMatchObject({
    state: "unreachable",
    leads: null,
  });
  const here = await survivor.fleet.nodeName();
  const { safe } = await admin.safeToStop(here);
  expect(safe).toBe(false);
  await expectCode(() => admin.transferLeader("alpha", lost), "INVALID_ARGUMENT");
}

async function inSteps(count: number, step: () => Promise<void>): Promise<void> {
  for (let at = 0; at < count; at++) {
    await step();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
