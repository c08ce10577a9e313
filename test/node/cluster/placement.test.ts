/**
 * Members of groups are spread over zones, led by their first member, and move while nodes come,
 * go and are lost.
 */
import { expect, it } from "vitest";
import type { NodeOptions, RaftKVNode } from "../../../ts/index.ts";
import { freeAddresses, QUICK_CLUSTER, startCluster } from "../support/cluster.ts";
import { expectCode } from "../support/errors.ts";
import { newNode, scratchDirectory } from "../support/nodes.ts";
import { addGroups, inPlace, spreads, sumModule } from "../support/placement.ts";
import { eventually } from "../support/waiting.ts";

const NAMES = ["one", "two", "three", "four", "five"];

async function join(seeds: readonly string[], zone: string, options: NodeOptions = {}) {
  const [listen] = await freeAddresses(1);
  const node = newNode({ ...QUICK_CLUSTER, listen, seeds, ...options });
  await node.fleet.activate(zone);
  for (const name of NAMES) await node.fleet.bindGroupModule(name, sumModule);
  return node;
}

/** Adds to all groups until told to stop; counts what was acknowledged. */
function startAdding(node: RaftKVNode) {
  const sums = new Map(NAMES.map((name) => [name, 0]));
  const errors: unknown[] = [];
  let running = true;
  const clients = NAMES.map(async (name) => {
    while (running) {
      await node.fleet.command(name, "add").then(
        () => sums.set(name, (sums.get(name) ?? 0) + 1),
        (error: unknown) => errors.push(error),
      );
    }
  });
  return async () => {
    running = false;
    await Promise.all(clients);
    return { sums, errors };
  };
}

async function checkSums(nodes: readonly RaftKVNode[], sums: ReadonlyMap<string, number>) {
  for (const node of nodes) {
    for (const [name, sum] of sums) expect(await node.fleet.query(name, "get")).toBe(sum);
  }
}

for (const [count, zones] of [
  [1, 1],
  [2, 2],
  [3, 1],
  [3, 3],
  [6, 2],
  [6, 3],
] as const) {
  it(`${count} nodes in ${zones} zones share the members of groups`, async () => {
    const seeds = await freeAddresses(count);
    const nodes = seeds.map((listen) => newNode({ ...QUICK_CLUSTER, listen, seeds }));
    await Promise.all(nodes.map((node, at) => node.fleet.activate(`zone ${at % zones}`)));
    await addGroups(nodes, NAMES);
    await inPlace(nodes);
    const expected = { members: Math.min(3, count), zones: Math.min(3, count, zones) };
    for (const node of nodes) {
      expect(spreads(node)).toEqual(NAMES.map((name) => ({ name, ...expected })));
    }
    for (const [at, node] of nodes.entries()) {
      for (const name of NAMES) expect(await node.fleet.command(name, "add")).toBe(at + 1);
    }
  }, 60_000);
}

it("a cluster is doubled and halved while clients call", async () => {
  const { nodes, addresses } = await startCluster(3);
  await addGroups(nodes, NAMES);
  const stop = startAdding(nodes[0] as RaftKVNode);
  await inPlace(nodes);
  const added = await Promise.all(["a", "b", "c"].map((zone) => join(addresses, zone)));
  const all = [...nodes, ...added];
  await inPlace(all);
  expect(spreads(all[5] as RaftKVNode).every(({ zones }) => zones === 3)).toBe(true);
  const [first, second, third, fourth, ...rest] = all as RaftKVNode[];
  for (const node of [second, third, fourth]) await node?.fleet.deactivate();
  const left = [first, ...rest] as RaftKVNode[];
  await inPlace(left);
  expect(spreads(left[2] as RaftKVNode).every(({ members }) => members === 3)).toBe(true);
  const { sums, errors } = await stop();
  expect(errors).toEqual([]);
  await checkSums(left, sums);
}, 90_000);

it("a node that is lost is told of, purged and replaced", async () => {
  const quick = { nodePurgeFailureTimeWindow: 200 };
  const { nodes, addresses } = await startCluster(3, quick);
  nodes.push(await join(addresses, "a", quick));
  await addGroups(nodes, NAMES);
  await inPlace(nodes);
  const lost = nodes.splice(1, 1)[0] as RaftKVNode;
  const name = await lost.fleet.nodeName();
  const told: string[] = [];
  for (const [at, { events }] of nodes.map(({ kv }) => kv).entries()) {
    events.on("nodeUnreachable", ({ node }) => told.push(`${at}: ${node} unreachable`));
    events.on("nodePurged", ({ node }) => told.push(`${at}: ${node} purged`));
  }
  const stop = startAdding(nodes[0] as RaftKVNode);
  await lost.close();
  for (const node of nodes) {
    await eventually("a node out of reach", async () =>
      Object.keys(await node.fleet.unreachableNodes()).includes(name),
    );
  }
  await inPlace(nodes);
  expect(spreads(nodes[2] as RaftKVNode).every(({ members }) => members === 3)).toBe(true);
  expect(await nodes[0]?.fleet.unreachableNodes()).toEqual({});
  const each = nodes.flatMap((_, at) => [`${at}: ${name} unreachable`, `${at}: ${name} purged`]);
  await eventually("the events", () => told.length >= each.length);
  expect(told.sort()).toEqual(each.sort());
  const { sums, errors } = await stop();
  expect(errors).toEqual([]);
  await checkSums(nodes, sums);
}, 90_000);

it("nodes that fail right after they joined harm nothing", async () => {
  const quick = { nodePurgeFailureTimeWindow: 200 };
  const { nodes, addresses } = await startCluster(3, quick);
  await addGroups(nodes, NAMES);
  await inPlace(nodes);
  const stop = startAdding(nodes[0] as RaftKVNode);
  for (const zone of ["a", "b"]) {
    const short = await join(addresses, zone, quick);
    await short.close();
  }
  await inPlace(nodes);
  const { sums, errors } = await stop();
  expect(errors).toEqual([]);
  await checkSums(nodes, sums);
}, 90_000);

it("a group whose member is away is removed for good once it is back", async () => {
  const { nodes, addresses } = await startCluster(2);
  const dataDir = scratchDirectory();
  const [listen] = await freeAddresses(1);
  const open = async () => {
    const node = newNode({ ...QUICK_CLUSTER, dataDir, listen, seeds: addresses });
    await node.fleet.activate("c");
    for (const name of NAMES) await node.fleet.bindGroupModule(name, sumModule);
    return node;
  };
  const third = await open();
  await addGroups([...nodes, third], NAMES);
  await inPlace([...nodes, third]);
  const [first] = nodes as [RaftKVNode];
  for (let count = 1; count <= 3; count++) {
    expect(await third.fleet.command("one", "add")).toBe(count);
  }
  await third.close();
  await first.fleet.removeConsensusGroup("one");
  const add = () => first.fleet.addConsensusGroup("one", 3, { module: sumModule });
  await expectCode(add, "CLEANUP_ONGOING");
  expect(Object.keys(await first.fleet.consensusGroups()).sort()).toEqual(NAMES.slice(1).sort());
  const back = await open();
  await eventually("the name to be free", () =>
    add().then(
      () => true,
      () => false,
    ),
  );
  for (const node of nodes) await node.fleet.bindGroupModule("one", sumModule);
  await inPlace([...nodes, back]);
  expect(await back.fleet.command("one", "add")).toBe(1);
}, 60_000);

it("groups without a majority are found, and led again when it is back", async () => {
  const seeds = await freeAddresses(3);
  const directories = seeds.map(() => scratchDirectory());
  const open = async (at: number) => {
    const options = { listen: seeds[at], dataDir: directories[at], seeds };
    const node = newNode({ ...QUICK_CLUSTER, ...options });
    await node.fleet.activate(`zone ${at}`);
    for (const name of NAMES) await node.fleet.bindGroupModule(name, sumModule);
    return node;
  };
  const nodes = await Promise.all([open(0), open(1), open(2)]);
  await addGroups(nodes, NAMES);
  await inPlace(nodes);
  const [first, second, third] = nodes;
  const allLed = () =>
    eventually("a leader of each group", async () => {
      const found = await first.fleet.findConsensusGroupsWithNoEstablishedLeader();
      return found.length === 0;
    });
  for (const name of NAMES) {
    await first.fleet.command(name, "add");
    const leaders = await Promise.all(nodes.map(({ fleet }) => fleet.whereisLeader(name)));
    expect(new Set(leaders).size).toBe(1);
  }
  await allLed();
  const gone = [await second.fleet.nodeName(), await third.fleet.nodeName()];
  await Promise.all([second.close(), third.close()]);
  const found = await eventually("all groups without a leader", async () => {
    const groups = await first.fleet.findConsensusGroupsWithNoEstablishedLeader();
    return groups.length === NAMES.length && groups;
  });
  expect(found.map(([name]) => name).sort()).toEqual([...NAMES].sort());
  for (const [, members] of found) {
    const away = members.filter(({ state }) => state === "unreachable").map(({ node }) => node);
    expect(away.sort()).toEqual([...gone].sort());
    expect(members.filter(({ state }) => state === "no leader").length).toBe(1);
  }
  const all = [first, ...(await Promise.all([open(1), open(2)]))];
  await inPlace(all);
  await allLed();
  for (const node of all) {
    for (const name of NAMES) expect(await node.fleet.query(name, "get")).toBe(1);
  }
}, 60_000);
