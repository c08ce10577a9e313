/**
 * Where a group's members should be, and the next step of its target on the way there.
 *
 * Pure functions of the fleet's state. A step changes at most one voter, or one learner: it adds
 * one, removes one, or puts one in another's place. A step is only taken where a majority of the
 * voters is reachable before it and, without counting the new voter, after it. Steps shrink the
 * distance to the placement, so they end.
 */
import { placeGroup, systemVoters } from "./placement.ts";
import {
  canLead,
  eligibleNodes,
  FLEET_GROUP,
  type FleetGroup,
  type FleetNode,
  type FleetState,
  hasModule,
  isPartOf,
  isReachable,
} from "./state.ts";

/** A group's voters, the preferred leader first, and its learners. */
export interface Target {
  readonly members: readonly number[];
  readonly learners: readonly number[];
}

/** How many of so many voters are a majority. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * May the voters be changed like this? A majority of the old ones must be reachable, and those that
 * stay and are reachable must be a majority of the smaller of the two sets.
 */
export function isSafeChange(
  before: readonly number[],
  after: readonly number[],
  reachable: (node: number) => boolean,
): boolean {
  const answering = before.filter(reachable);
  const kept = answering.filter((node) => after.includes(node));
  const needed = majority(Math.min(before.length, after.length));
  return answering.length >= majority(before.length) && kept.length >= needed;
}

/** The group with its next target. */
export function retarget(group: FleetGroup, target: Target): FleetGroup {
  const { members, learners } = target;
  const before = [...group.members, ...group.learners, ...group.leaving];
  const stays = new Set([...members, ...learners]);
  const leaving = [...new Set(before)].filter((node) => !stays.has(node));
  return { ...group, members, learners, leaving, version: group.version + 1 };
}

/** Where the members of a new group go: reachable, active nodes that have its code. */
export function firstTarget(
  state: FleetState,
  group: { readonly id: number; readonly replicas: number },
  system: boolean,
  module: string,
): Target {
  const nodes = eligibleNodes(state, module);
  const voters = system ? systemVoters(nodes.length) : group.replicas;
  const members = placeGroup(group.id, voters, nodes);
  const others = nodes.map((node) => node.id).filter((id) => !members.includes(id));
  return { members, learners: system ? others : [] };
}

/**
 * Where the members of a group should be. A node that is a member stays one while it is marked
 * unreachable or its program has not bound the code yet: it may come back at any moment.
 */
export function wantedTarget(state: FleetState, group: FleetGroup): Target {
  const eligible = eligibleNodes(state, group.module);
  const stays = withActive(state, eligible, group.members).filter((node) => !node.drained);
  const voters = stays.length > 0 ? stays : eligible;
  const count = group.system ? systemVoters(voters.length) : group.replicas;
  const members = preferring(group.preferred, placeGroup(group.id, count, voters));
  if (!group.system) return { members, learners: [] };
  const able = withActive(state, voters, drainedNodes(state, group));
  const watching = withActive(state, able, group.learners).map(({ id }) => id);
  for (const id of [...group.members, ...group.learners]) {
    if (hasToWatch(state, group, id)) watching.push(id);
  }
  return { members, learners: watching.filter((id) => !members.includes(id)) };
}

/** The members with the preferred one first, if it is among them. */
export function preferring(preferred: number | undefined, members: readonly number[]): number[] {
  const rest = members.filter((node) => node !== preferred);
  if (preferred === undefined || rest.length === members.length) return rest;
  return [preferred, ...rest];
}

/** Drained nodes follow the system groups as others do. */
function drainedNodes(state: FleetState, group: FleetGroup): number[] {
  const follows = ({ id, unreachableSince }: FleetNode) =>
    unreachableSince === null || group.members.includes(id);
  return [...state.nodes.values()]
    .filter((node) => node.drained && hasModule(node, group.module) && follows(node))
    .map(({ id }) => id);
}

/**
 * Does a node that leaves still follow a system group? It has to know the fleet's targets as long
 * as it may lead a group that is to move away from it, and where keys are while it serves some.
 */
function hasToWatch(state: FleetState, system: FleetGroup, id: number): boolean {
  const node = state.nodes.get(id);
  if (node?.state !== "leaving" || node.purged) return false;
  for (const group of state.groups.values()) {
    if (group === system) continue;
    const holds = group.system
      ? system.id === FLEET_GROUP && (group.members.includes(id) || group.leaving.includes(id))
      : isPartOf(group, id);
    if (holds) return true;
  }
  return false;
}

/** The groups that a round of balancing would change, at most `limit` of them, as they become. */
export function nextTargets(state: FleetState, limit: number): FleetGroup[] {
  const urgent: FleetGroup[] = [];
  const rest: FleetGroup[] = [];
  const leaves = new Set<number>();
  for (const node of state.nodes.values()) {
    if (node.state === "leaving" || node.drained) leaves.add(node.id);
  }
  for (const group of state.groups.values()) {
    const held = [...group.members, ...group.learners].some((node) => leaves.has(node));
    (held ? urgent : rest).push(group);
  }
  const changed: FleetGroup[] = [];
  for (const group of [...urgent, ...rest]) {
    if (changed.length >= limit) break;
    const next = nextTarget(state, group);
    if (next !== null) changed.push(next);
  }
  return changed;
}

function nextTarget(state: FleetState, group: FleetGroup): FleetGroup | null {
  if (group.state !== "active") return null;
  if (!group.created) return nextCreator(state, group);
  if (group.confirmed !== group.version) return null;
  const wanted = wantedTarget(state, group);
  if (wanted.members.length === 0) return null;
  const voters = nextVoters(group.members, wanted.members, {
    reachable: (node) => isReachable(state, node),
    burden: (node) => burden(state, node),
  });
  if (voters !== null) return retarget(group, asTarget(group, wanted, voters));
  const learners = nextLearners(state, group, wanted);
  if (learners !== null) return retarget(group, { members: group.members, learners });
  if (sameNodes(group.members, wanted.members) && !sameOrder(group.members, wanted.members)) {
    return retarget(group, { members: wanted.members, learners: group.learners });
  }
  return null;
}

/**
 * A group whose creator is gone before it was created gets another one. The voters stay the same:
 * two nodes that create a group with the same voters create the same group.
 */
function nextCreator(state: FleetState, group: FleetGroup): FleetGroup | null {
  const { members, learners } = group;
  if (members.length === 0) {
    // Those that were to have it were lost before it was.
    const target = firstTarget(state, group, group.system, group.module);
    return target.members.length === 0 ? null : retarget(group, target);
  }
  const creator = members.find((node) => canLead(state, group, node));
  if (creator === undefined || creator === members[0]) return null;
  const rest = members.filter((node) => node !== creator);
  return retarget(group, { members: [creator, ...rest], learners });
}

/** What a step between voters goes by. */
export interface StepFacts {
  reachable(node: number): boolean;
  /** Of several members that have to go, the one with the greatest number goes first. */
  burden(node: number): number;
}

/** The voters after the next safe step from `members` to `wanted`, `null` when there is none. */
export function nextVoters(
  members: readonly number[],
  wanted: readonly number[],
  { reachable, burden }: StepFacts,
): number[] | null {
  const added = wanted.find((node) => !members.includes(node));
  const removed = members.filter((node) => !wanted.includes(node));
  removed.sort((a, b) => burden(b) - burden(a));
  const grown = added === undefined ? [] : [[...members, added]];
  const shrunk = removed.map((gone) => members.filter((node) => node !== gone));
  const swapped = added === undefined ? [] : shrunk.map((left) => [...left, added]);
  const difference = members.length - wanted.length;
  // Growing past the wanted number is for where a swap would leave too few that answer.
  const steps =
    difference > 0
      ? [...shrunk, ...swapped]
      : difference < 0
        ? [...grown, ...swapped]
        : [...swapped, ...grown];
  return steps.find((after) => isSafeChange(members, after, reachable)) ?? null;
}

/** How much a node's member should go: one that leaves first, then one that does not answer. */
function burden(state: FleetState, id: number): number {
  const node = state.nodes.get(id);
  if (node === undefined || node.state === "leaving" || node.drained) return 2;
  return node.unreachableSince === null ? 0 : 1;
}

/** The target with these voters, in the order of the placement, and what follows for learners. */
function asTarget(group: FleetGroup, wanted: Target, voters: readonly number[]): Target {
  const placed = wanted.members.filter((node) => voters.includes(node));
  const extra = voters.filter((node) => !wanted.members.includes(node));
  const members = [...placed, ...extra];
  const learners = group.learners.filter((node) => !members.includes(node));
  // A voter that should stay a member without a vote.
  const demoted = group.members.find(
    (node) => !members.includes(node) && wanted.learners.includes(node),
  );
  if (demoted !== undefined) learners.push(demoted);
  return { members, learners };
}

function nextLearners(state: FleetState, group: FleetGroup, wanted: Target): number[] | null {
  const reachable = (node: number) => isReachable(state, node);
  if (group.members.filter(reachable).length < majority(group.members.length)) return null;
  const { members, learners } = group;
  const target = [...wanted.learners, ...wanted.members];
  const removed = learners.find((node) => !target.includes(node));
  if (removed !== undefined) return learners.filter((node) => node !== removed);
  const added = wanted.learners.find((node) => ![...learners, ...members].includes(node));
  return added === undefined ? null : [...learners, added];
}

function withActive(
  state: FleetState,
  nodes: readonly FleetNode[],
  more: readonly number[],
): FleetNode[] {
  const all = new Map(nodes.map((node) => [node.id, node]));
  for (const id of more) {
    const node = state.nodes.get(id);
    if (node?.state === "active") all.set(id, node);
  }
  return [...all.values()];
}

/** Do two lists without repetitions hold the same nodes? */
export function sameNodes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((node) => b.includes(node));
}

function sameOrder(a: readonly number[], b: readonly number[]): boolean {
  return a.every((node, at) => b[at] === node);
}
