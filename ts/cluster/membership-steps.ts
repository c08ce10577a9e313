/**
 * The next step that brings a group's real members to the fleet's target, as a pure function of
 * both. Only the group's leader asks it.
 *
 * A step adds one learner, or adds, removes or replaces one voter where a majority answers before
 * and after it. The real members may differ from the target in any way: steps of earlier targets
 * may have been left half done by leaders that are gone.
 */
import { canLead, type FleetGroup, type FleetState } from "../fleet/state.ts";
import { nextVoters, sameNodes } from "../fleet/targets.ts";
import { MEMBER_LAG_MAX } from "../limits.ts";
import type { GroupStatus, MemberAddress } from "../native/engine.ts";

/** What a group's leader does next. */
export type MembershipStep =
  /** The members are right and confirmed, and who should lead does, or cannot. */
  | { readonly type: "done" }
  /** Nothing can be done now. */
  | { readonly type: "wait"; readonly why: string }
  | { readonly type: "addLearner"; readonly member: MemberAddress }
  | { readonly type: "waitForMember"; readonly node: number }
  | {
      readonly type: "changeMembers";
      readonly voters: readonly number[];
      readonly learners: readonly number[];
    }
  /** The target is reached. */
  | { readonly type: "confirm" }
  /** The target cannot be reached: these voters stay. */
  | { readonly type: "keep"; readonly voters: readonly number[] }
  | { readonly type: "transfer"; readonly to: number };

/** What a step goes by. */
export interface StepInput {
  /** This node, which leads the group. */
  readonly node: number;
  readonly fleet: FleetState;
  readonly group: FleetGroup;
  readonly status: GroupStatus;
  /** Does this node know that the fleet has taken its confirmation of this target? */
  readonly confirmed: boolean;
  /** Does a node answer, as far as this one and the fleet know? */
  reachable(node: number): boolean;
}

/** A group's members, looked at from the target. */
class Comparison {
  readonly input: StepInput;
  readonly voters: readonly number[];
  readonly all: readonly number[];
  /** Nodes that should be voters and are not. */
  readonly missing: readonly number[];

  constructor(input: StepInput) {
    this.input = input;
    const { members } = input.status;
    this.all = members.map(({ node }) => node);
    this.voters = members.filter(({ voter }) => voter).map(({ node }) => node);
    this.missing = input.group.members.filter((node) => !this.voters.includes(node));
  }

  hasCaughtUp(node: number): boolean {
    if (node === this.input.node) return true;
    const { members, lastIndex } = this.input.status;
    const matching = members.find((member) => member.node === node)?.matching ?? null;
    return matching !== null && matching + MEMBER_LAG_MAX >= lastIndex;
  }

  /** May leadership be handed to this node now? */
  couldTakeOver(node: number): boolean {
    const { fleet, group, reachable } = this.input;
    const able = this.voters.includes(node) && canLead(fleet, group, node);
    return able && reachable(node) && this.hasCaughtUp(node);
  }
}

/** See the head of this file. */
export function nextStep(input: StepInput): MembershipStep {
  const { node, fleet, group, status } = input;
  if (status.role !== "leader") return { type: "wait", why: "this node does not lead" };
  const now = new Comparison(input);
  if (!group.members.includes(node) && !status.changing) {
    // A leader that has to go hands over first, so that its group stops once and not twice.
    const heir = group.members.find((one) => now.couldTakeOver(one));
    if (heir !== undefined) return { type: "transfer", to: heir };
    if (!group.members.some((one) => canLead(fleet, group, one))) {
      return { type: "wait", why: "no other node can lead" };
    }
  }
  return addition(now) ?? change(now) ?? conclusion(now);
}

/** A member that is missing altogether. */
function addition(now: Comparison): MembershipStep | null {
  const { fleet, group, reachable } = now.input;
  const wanted = [...now.missing.filter((node) => reachable(node)), ...group.learners];
  const added = wanted.find((node) => !now.all.includes(node));
  if (added === undefined) return null;
  const address = fleet.nodes.get(added)?.address;
  if (address === undefined || address === null) {
    return { type: "wait", why: `the address of node ${added} is not known` };
  }
  return { type: "addLearner", member: { node: added, address } };
}

/** Voters that are not the right ones yet, or members that should be gone. */
function change(now: Comparison): MembershipStep | null {
  const { voters, missing, all } = now;
  const { group, status } = now.input;
  if (!sameNodes(voters, group.members)) {
    const ready = missing.filter((node) => now.input.reachable(node));
    if (missing.length > 0 && ready.length === 0) return withoutNewVoter(now);
    const wanted = group.members.filter((node) => !missing.includes(node) || ready.includes(node));
    const next = nextVoters(voters, wanted, stepFacts(now));
    if (next === null) return { type: "wait", why: "too few of its voters answer" };
    const joining = next.find((node) => !voters.includes(node));
    if (joining !== undefined && !now.hasCaughtUp(joining)) {
      return { type: "waitForMember", node: joining };
    }
    return changeTo(now, next);
  }
  const wanted = [...group.members, ...group.learners];
  const stranger = all.some((node) => !wanted.includes(node));
  return status.changing || stranger ? changeTo(now, group.members) : null;
}

function stepFacts(now: Comparison) {
  const { input } = now;
  const burden = (node: number) => {
    // This node last: it can do the steps before.
    if (node === input.node) return 0;
    return input.reachable(node) ? 1 : 2;
  };
  // A voter that is behind cannot make up a majority for now.
  const reachable = (node: number) => input.reachable(node) && now.hasCaughtUp(node);
  return { reachable, burden };
}

function changeTo(now: Comparison, voters: readonly number[]): MembershipStep {
  const { members, learners } = now.input.group;
  const stays = (node: number) => members.includes(node) || learners.includes(node);
  const rest = now.all.filter((node) => !voters.includes(node) && stays(node));
  return { type: "changeMembers", voters, learners: rest };
}

/** None of the new voters answers. Once the fleet knows, the target is given up. */
function withoutNewVoter(now: Comparison): MembershipStep {
  const { fleet, status } = now.input;
  const lost = now.missing.every((node) => fleet.nodes.get(node)?.unreachableSince !== null);
  if (!lost || status.changing) return { type: "wait", why: "a new member does not answer" };
  return { type: "keep", voters: now.voters };
}

/** The members are right. */
function conclusion(now: Comparison): MembershipStep {
  const { node, fleet, group, confirmed, reachable } = now.input;
  if (!confirmed && group.confirmed !== group.version) return { type: "confirm" };
  const first = group.members[0];
  if (first === undefined || first === node || !canLead(fleet, group, first)) {
    return { type: "done" };
  }
  if (!now.couldTakeOver(first)) {
    const why = reachable(first) ? "has not caught up" : "does not answer";
    return { type: "wait", why: `node ${first}, which should lead, ${why}` };
  }
  return { type: "transfer", to: first };
}
