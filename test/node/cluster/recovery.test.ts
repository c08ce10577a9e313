/** Nodes are lost for good, and an operator has the cluster go on without them. */
import { expect, it } from "vitest";
import type { RaftKVNode } from "../../../ts/index.ts";
import { allKnow, freeAddresses, QUICK_CLUSTER, startCluster } from "../support/cluster.ts";
import { expectCode } from "../support/errors.ts";
import { newNode, scratchDirectory } from "../support/nodes.ts";
import { addGroups, fleetOf, groupsOf, inPlace, sumModule } from "../support/placement.ts";

const NAMES = ["one", "two", "three", "four", "five", "six", "seven", "eight"];

async function namesOf(nodes: readonly RaftKVNode[]): Promise<string[]> {
  return Promise.all(nodes.map((node) => node.fleet.nodeName()));
}

async function addToAll(node: RaftKVNode, sum: number): Promise<void> {
  for (const name of NAMES) expect(await node.fleet.command(name, "add")).toBe(sum);
}

it("of five nodes two are lost: groups that kept a majority lose nothing, the others go on", async () => {
  const { nodes } = await startCluster(5);
  await addGroups(nodes, NAMES);
  await inPlace(nodes);
  const [asked] = nodes as [RaftKVNode];
  await addToAll(asked, 1);
  // Two members of one group: it loses its majority, and others need not.
  const ids = groupsOf(asked)[0]?.members.slice(1) as number[];
  const lostNodes = ids.map((id) => fleetOf(asked).nodes.get(id)?.name as string);
  const names = await namesOf(nodes);
  const lost = nodes.filter((_, at) => lostNodes.includes(names[at] as string));
  const left = nodes.filter((node) => !lost.includes(node));
  const [first, second, third] = left as [RaftKVNode, RaftKVNode, RaftKVNode];
  const held = new Map(
    groupsOf(asked).map(({ name, members }) => [
      name,
      members.filter((node) => ids.includes(node)).length,
    ]),
  );
  expect(new Set(held.values()).has(2), "a group has lost its majority").toBe(true);
  await Promise.all(lost.map((node) => node.close()));

  const { groups, droppedNodes } = await second.fleet.recoverGroups({
    lostNodes,
    acceptDataLoss: true,
  });
  expect([...droppedNodes].sort()).toEqual([...lostNodes].sort());
  const actions = new Map(groups.map(({ group, action }) => [group, action]));
  for (const [name, count] of held) {
    expect(actions.get(name), name).toBe(
      count === 0 ? undefined : count === 1 ? "kept" : "recovered",
    );
  }
  for (const { action, node, lastIndex, mayHaveLostData } of groups) {
    expect(mayHaveLostData).toBe(action === "recovered");
    expect(node !== null && (lastIndex ?? 0) > 0).toBe(action === "recovered");
  }
  await allKnow(left, 3);
  await inPlace(left);
  for (const node of left) {
    for (const name of NAMES) expect(await node.fleet.query(name, "get")).toBe(1);
  }
  await addToAll(third, 2);
  expect(groupsOf(first).every(({ members }) => members.length === 3)).toBe(true);

  // Said again, there is nothing left to do.
  const again = await third.fleet.recoverGroups({ lostNodes, acceptDataLoss: true });
  expect(again.groups).toEqual([]);
}, 90_000);

it("says what it cannot do, and changes nothing", async () => {
  const { nodes } = await startCluster(3);
  const [first, second] = nodes as [RaftKVNode, RaftKVNode];
  const recover = (options: unknown) => first.fleet.recoverGroups(options as never);
  const name = await second.fleet.nodeName();
  for (const wrong of [
    undefined,
    null,
    7,
    {},
    { lostNodes: [name] },
    { lostNodes: [name], acceptDataLoss: 1 },
  ]) {
    await expectCode(() => recover(wrong), "INVALID_OPTION");
  }
  for (const lostNodes of [
    undefined,
    [],
    name,
    [7],
    ["nobody"],
    [await first.fleet.nodeName()],
    [name],
  ]) {
    await expectCode(() => recover({ lostNodes, acceptDataLoss: true }), "INVALID_OPTION");
  }
  expect(Object.values(await second.fleet.activeNodes()).flat()).toHaveLength(3);
  expect(fleetOf(first).lost.size).toBe(0);
}, 60_000);

it("a survivor that was started anew recovers, grows, and refuses the lost ones", async () => {
  const seeds = await freeAddresses(3);
  const options = seeds.map((listen) => ({
    ...{ ...QUICK_CLUSTER, listen, seeds, dataDir: scratchDirectory() },
  }));
  const nodes = options.map((option) => newNode(option));
  await Promise.all(nodes.map((node, at) => node.fleet.activate("abc"[at] as string)));
  await addGroups(nodes, NAMES);
  await inPlace(nodes);
  await addToAll(nodes[0] as RaftKVNode, 1);
  const [survivorName, ...lostNodes] = await namesOf(nodes);
  await Promise.all(nodes.map((node) => node.close()));

  const survivor = newNode(options[0]);
  for (const name of NAMES) await survivor.fleet.bindGroupModule(name, sumModule);
  const active = survivor.fleet.activate("a");
  const recover = async () => {
    for (;;) {
      try {
        return await survivor.fleet.recoverGroups({ lostNodes, acceptDataLoss: true });
      } catch (error) {
        // Until its directory is open there is nothing to recover.
        if ((error as { code?: string }).code !== "NOT_ACTIVE") throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  };
  const { groups } = await recover();
  await active;
  expect(await survivor.fleet.nodeName()).toBe(survivorName);
  expect(groups.map(({ action }) => action)).toEqual(groups.map(() => "recovered"));
  expect(groups.length).toBe(NAMES.length + 1);
  await addToAll(survivor, 2);

  const back = newNode(options[1]);
  const error = await expectCode(() => back.fleet.activate("b"), "CLUSTER_MISMATCH");
  expect(error.message).toContain("given up for lost");

  const added = await Promise.all(
    ["b", "c"].map(async (zone) => {
      const [listen] = await freeAddresses(1);
      const node = newNode({ ...QUICK_CLUSTER, listen, seeds });
      for (const name of NAMES) await node.fleet.bindGroupModule(name, sumModule);
      await node.fleet.activate(zone);
      return node;
    }),
  );
  const all = [survivor, ...added];
  await inPlace(all);
  for (const node of all) {
    for (const name of NAMES) expect(await node.fleet.query(name, "get")).toBe(2);
  }
  await addToAll(added[0] as RaftKVNode, 3);
}, 90_000);
