/**
 * Brings the groups that this node leads to the fleet's targets, one step at a time.
 *
 * Each leader looks after its own groups, so no node acts for another. Every step may fail, be
 * repeated, or be cut off by a crash or a lost leadership: whoever leads next compares again.
 * A few groups are worked on at once. What starts work is that leadership was gained or the fleet
 * changed; a slow interval stands behind it. A group that is in order costs one comparison of
 * version numbers, and no call.
 */
import type { GroupChange } from "../fleet/groups.ts";
import {
  canLead,
  type FleetGroup,
  type FleetState,
  groupById,
  isReachable,
} from "../fleet/state.ts";
import {
  MEMBERSHIP_GROUPS_AT_ONCE,
  MEMBERSHIP_INTERVAL_MS,
  MEMBERSHIP_RETRY_MS_MAX,
  MEMBERSHIP_RETRY_MS_MIN,
  MEMBERSHIP_STEP_MS_MAX,
} from "../limits.ts";
import type { GroupStatus, NativeEngine } from "../native/engine.ts";
import { type MembershipStep, nextStep } from "./membership-steps.ts";

/** Stops a timer that has not fired yet. */
export type Cancel = () => void;

/** What the engine does for members. */
export type MembershipEngine = Pick<
  NativeEngine,
  "groupStatus" | "addLearner" | "waitForMember" | "changeMembers" | "transferLeader"
>;

/** What membership acts through. */
export interface MembershipPorts {
  readonly node: number;
  readonly engine: MembershipEngine;
  /** The fleet's state as this node knows it. */
  fleet(): FleetState;
  /** Does this node lead the group, with its code bound? */
  leads(group: number): boolean;
  /** Does a node answer this one? */
  reachable(node: number): boolean;
  /** Tells the fleet that the members are at the target of this version. */
  confirmMembers(group: number, version: number, members: readonly number[]): Promise<void>;
  /** Tells the fleet that the target of this version is given up for these voters. */
  keepMembers(group: number, version: number, members: readonly number[]): Promise<void>;
  /** Calls back once after so many milliseconds. */
  schedule(delay: number, callback: () => void): Cancel;
  /** A group's step fails again and again. */
  warn(message: string, cause: unknown): void;
}

/** A group whose step failed, and will be tried again. */
interface Retry {
  readonly delay: number;
  readonly version: number;
  /** `null` while it is being tried again. */
  cancel: Cancel | null;
}

/** Calls that may be made for a group in one go, before others get their turn. */
const STEPS_IN_A_ROW = 32;

/** See the head of this file. */
export class GroupMembership {
  private readonly ports: MembershipPorts;
  /** What each group looked like when it was last found in order. */
  private readonly inOrder = new Map<number, number>();
  /** Versions whose confirmation the fleet has taken, though its state may not be here yet. */
  private readonly confirmed = new Map<number, number>();
  /** How groups stood whose confirmation is on its way, unless they got another leader since. */
  private readonly standing = new Map<number, GroupStatus>();
  private readonly retries = new Map<number, Retry>();
  private readonly due = new Set<number>();
  private readonly running = new Set<number>();
  private slots = MEMBERSHIP_GROUPS_AT_ONCE;
  private nodes: FleetState["nodes"] | undefined;
  private interval: Cancel | undefined;
  private stopped = true;

  constructor(ports: MembershipPorts) {
    this.ports = ports;
  }

  /** Starts to work. */
  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.tick();
  }

  /** Starts nothing any more; calls under way end by themselves. */
  stop(): void {
    this.stopped = true;
    this.interval?.();
    this.due.clear();
    for (const group of [...this.retries.keys()]) this.forget(group);
  }

  /** This node leads a group, or does not any more. */
  leaderChanged(id: number): void {
    this.inOrder.delete(id);
    this.confirmed.delete(id);
    this.standing.delete(id);
    this.forget(id);
    const group = this.group(id);
    if (group !== undefined) this.look(group);
  }

  /**
   * The fleet's state has changed, or the nodes that this one reaches. `changed`: what became of
   * groups since this was last called, where no more is to be looked at.
   */
  fleetChanged(changed?: readonly GroupChange[]): void {
    if (this.stopped) return;
    const { groups, nodes } = this.ports.fleet();
    // Whether a group is in order depends on the node that should lead it.
    if (changed === undefined || nodes !== this.nodes) {
      for (const group of groups.values()) this.look(group);
    } else {
      for (const { after } of changed) if (after !== undefined) this.look(after);
    }
    this.nodes = nodes;
  }

  private tick(): void {
    if (this.stopped) return;
    this.fleetChanged();
    for (const id of this.inOrder.keys()) if (this.group(id) === undefined) this.drop(id);
    this.interval = this.ports.schedule(MEMBERSHIP_INTERVAL_MS, () => this.tick());
  }

  private drop(id: number): void {
    this.inOrder.delete(id);
    this.confirmed.delete(id);
    this.forget(id);
  }

  private group(id: number): FleetGroup | undefined {
    return groupById(this.ports.fleet(), id);
  }

  /** What has to be the same for a group to be still in order. */
  private mark(group: FleetGroup): number {
    const [first] = group.members;
    const led = first !== undefined && canLead(this.ports.fleet(), group, first);
    return group.version * 2 + (led ? 1 : 0);
  }

  private isDue(group: FleetGroup): boolean {
    if (this.stopped || group.state !== "active") return false;
    return this.inOrder.get(group.id) !== this.mark(group) && this.ports.leads(group.id);
  }

  private look(group: FleetGroup): void {
    const { id } = group;
    if (!this.isDue(group) || this.running.has(id)) return;
    const retry = this.retries.get(id);
    if (retry?.version === group.version) return;
    this.forget(id);
    this.due.add(id);
    this.pump();
  }

  private pump(): void {
    for (const id of this.due) {
      if (this.slots === 0) return;
      this.due.delete(id);
      void this.run(id);
    }
  }

  /** Works on a group. One whose call takes too long keeps its place, and not the slot. */
  private async run(id: number): Promise<void> {
    this.running.add(id);
    this.slots--;
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      this.slots++;
      this.pump();
    };
    const version = this.group(id)?.version ?? 0;
    let again = true;
    let failure: unknown;
    try {
      again = await this.advance(id, release);
    } catch (error) {
      failure = error;
    }
    this.running.delete(id);
    this.standing.delete(id);
    if (again) this.retryLater(id, version, failure);
    else this.forget(id);
    release();
    const group = this.group(id);
    if (group !== undefined) this.look(group);
  }

  /** Takes steps while there are some to take; `true`: there will be more later. */
  private async advance(id: number, release: () => void): Promise<boolean> {
    const { ports } = this;
    const reachable = (node: number) =>
      node === ports.node || (ports.reachable(node) && isReachable(ports.fleet(), node));
    for (let steps = 0; steps < STEPS_IN_A_ROW; steps++) {
      const overdue = ports.schedule(MEMBERSHIP_STEP_MS_MAX, release);
      try {
        const status = this.standing.get(id) ?? (await ports.engine.groupStatus(id));
        this.standing.delete(id);
        const group = this.group(id);
        if (group === undefined || !this.isDue(group)) return false;
        const confirmed = this.confirmed.get(id) === group.version;
        const fleet = ports.fleet();
        const { node } = ports;
        const step = nextStep({ node, fleet, group, status, confirmed, reachable });
        if (step.type === "wait") return true;
        if (step.type === "done") {
          this.inOrder.set(id, this.mark(group));
          return false;
        }
        if (step.type === "confirm") {
          this.standing.set(id, status);
          release();
        }
        await this.take(group, step);
      } finally {
        overdue();
      }
    }
    return true;
  }

  private async take(
    { id, version, members }: FleetGroup,
    step: Exclude<MembershipStep, { type: "wait" | "done" }>,
  ): Promise<void> {
    const { engine, confirmMembers, keepMembers } = this.ports;
    switch (step.type) {
      case "addLearner":
        return engine.addLearner(id, step.member);
      case "waitForMember":
        return engine.waitForMember(id, step.node);
      case "changeMembers":
        return engine.changeMembers(id, step.voters, step.learners);
      case "transfer":
        return engine.transferLeader(id, step.to);
      case "keep":
        return keepMembers.call(this.ports, id, version, step.voters);
      case "confirm":
        await confirmMembers.call(this.ports, id, version, members);
        this.confirmed.set(id, version);
    }
  }

  private retryLater(id: number, version: number, failure: unknown): void {
    if (this.stopped || !this.ports.leads(id)) {
      this.forget(id);
      return;
    }
    const before = this.retries.get(id);
    const repeated = before?.version === version;
    const delay = repeated
      ? Math.min(before.delay * 2, MEMBERSHIP_RETRY_MS_MAX)
      : MEMBERSHIP_RETRY_MS_MIN;
    if (repeated && failure !== undefined && before.delay < delay) {
      const isSlow = delay === MEMBERSHIP_RETRY_MS_MAX;
      const name = this.group(id)?.name ?? `${id}`;
      if (isSlow) this.ports.warn(`could not change the members of ${name}; trying again`, failure);
    }
    const retry: Retry = { delay, version, cancel: null };
    retry.cancel = this.ports.schedule(delay, () => {
      retry.cancel = null;
      if (this.stopped || this.running.has(id)) return;
      this.due.add(id);
      this.pump();
    });
    before?.cancel?.();
    this.retries.set(id, retry);
  }

  private forget(id: number): void {
    this.retries.get(id)?.cancel?.();
    this.retries.delete(id);
  }
}
