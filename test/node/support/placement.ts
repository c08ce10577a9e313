/** Where the members of groups are, as the fleet's state on a node says. */
import type { Core } from "../../../ts/api/core.ts";
import type { FleetGroup, FleetState } from "../../../ts/fleet/state.ts";
import { nextTargets } from "../../../ts/fleet/targets.ts";
import type { DataModule, RaftKVNode } from "../../../ts/index.ts";
import { eventually } from "./waiting.ts";

/** A number as a consensus group of its own; each command adds one. */
export const sumModule: DataModule<number, "add", number, "get", number> = {
  init: () => 0,
  command: (state) => [state + 1, state + 1],
  query: (state) => state,
};

/** The fleet's state as a node knows it. Programs have no use for it. */
export function fleetOf(node: RaftKVNode): FleetState {
  const { lifecycle } = node.fleet as unknown as { lifecycle: { core(): Core } };
  return lifecycle.core().fleet;
}

/** The groups that programs added. */
export function groupsOf(node: RaftKVNode): FleetGroup[] {
  return [...fleetOf(node).groups.values()].filter(({ system }) => !system);
}

/** What keeps a node from finding each group in its place, led by its first member. */
async function fault(node: RaftKVNode, count: number): Promise<string | undefined> {
  const fleet = fleetOf(node);
  if (fleet.nodes.size !== count) return `${fleet.nodes.size} nodes`;
  const [moved] = nextTargets(fleet, 1);
  if (moved !== undefined) return `${moved.name} is to be moved`;
  for (const { name, confirmed, version, state } of fleet.groups.values()) {
    if (state !== "active") return `${name} is being removed`;
    if (confirmed !== version) return `${name} is being moved`;
  }
  for (const { name, members } of groupsOf(node)) {
    const leader = await node.fleet.whereisLeader(name);
    const [first] = members.map((id) => fleet.nodes.get(id)?.name);
    if (leader !== first) return `${name} is led by ${leader}, not by ${first}`;
  }
  return undefined;
}

/** Waits until all nodes find every group in its place, led by its first member. */
export async function inPlace(nodes: readonly RaftKVNode[]): Promise<void> {
  let wrong: string | undefined;
  const look = async () => {
    for (const node of nodes) {
      wrong = await fault(node, nodes.length);
      if (wrong !== undefined) return false;
    }
    return true;
  };
  try {
    await eventually("all groups in their place", look);
  } catch (error) {
    throw new Error(`${error}: ${wrong}`);
  }
}

/** Binds the code of groups on all nodes and adds the groups, with three replicas each. */
export async function addGroups(
  nodes: readonly RaftKVNode[],
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    for (const node of nodes) await node.fleet.bindGroupModule(name, sumModule);
    await nodes[0]?.fleet.addConsensusGroup(name, 3, { module: sumModule });
  }
}

/** How many zones each group's members are in, and how many members it has. */
export function spreads(node: RaftKVNode): { name: string; members: number; zones: number }[] {
  const { nodes } = fleetOf(node);
  return groupsOf(node).map(({ name, members }) => {
    const zones = new Set(members.map((id) => nodes.get(id)?.zone));
    return { name, members: members.length, zones: zones.size };
  });
}
