/**
 * Watches over the nodes: who is out of reach since when, and, on the node that leads the fleet,
 * what the fleet is told about it.
 *
 * The fleet hears of a node once it was out of reach for a while, and at once when it is back; it
 * replaces one that stays away for the window that the options give. While groups are not where
 * they should be, they are balanced one round each interval. Nothing is sent, and no timer runs,
 * while there is nothing to tell: what would change is asked of the fleet's state first.
 */
import type { FleetCommand } from "../fleet/commands.ts";
import type { FleetNode, FleetState } from "../fleet/state.ts";
import { nextTargets } from "../fleet/targets.ts";
import {
  BALANCED_GROUPS,
  DEPARTED_NODES,
  OPTION_TIME_MAX_MS,
  PURGE_OBSERVED_MS,
  UNREACHABLE_AFTER_MS,
  WATCH_RETRY_MS,
} from "../limits.ts";
import type { Cancel } from "./membership.ts";

/** What the watch tells the fleet. */
export type WatchCommand = Extract<
  FleetCommand,
  { type: "markUnreachable" | "markReachable" | "purgeNode" | "balance" }
>;

/** What the watch acts through. */
export interface WatchPorts {
  readonly node: number;
  /** The fleet's state as this node knows it. */
  fleet(): FleetState;
  /** Does this node lead the fleet's group, with everything of earlier terms applied? */
  leadsFleet(): boolean;
  /** Sends a command to the fleet; resolves once it is applied here. */
  send(command: WatchCommand): Promise<unknown>;
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once after so many milliseconds. */
  schedule(delay: number, callback: () => void): Cancel;
}

/** How the watch behaves, in milliseconds. */
export interface WatchOptions {
  /** Between two rounds of balancing. */
  readonly balancingInterval: number;
  /** After which a node that is out of reach is replaced. */
  readonly nodePurgeFailureTimeWindow: number;
}

/** See the head of this file. */
export class NodeWatch {
  private readonly ports: WatchPorts;
  private readonly options: WatchOptions;
  /** Per node that was heard of: since when it is out of reach, or `null`. */
  private readonly down = new Map<number, number | null>();
  /** The nodes that the fleet had last, and those that it has had before and has not now. */
  private nodes: FleetState["nodes"] = new Map();
  private readonly gone = new Set<number>();
  /** A state in which every group was found where it should be. */
  private inOrder: FleetState | undefined;
  private nextBalance = 0;
  private retryAt = 0;
  /** Since when this node leads the fleet, or `null`. */
  private leadingSince: number | null = null;
  private sending = false;
  private timer: Cancel | undefined;
  private stopped = true;

  constructor(ports: WatchPorts, options: WatchOptions) {
    this.ports = ports;
    this.options = options;
  }

  /** Starts to tell the fleet what it has to know. */
  start(): void {
    this.stopped = false;
    this.act();
  }

  /** Tells nothing any more. */
  stop(): void {
    this.stopped = true;
    this.timer?.();
  }

  /** A node can be reached (again), or cannot any more. */
  peerChanged(node: number, reachable: boolean): void {
    if (!reachable && this.gone.has(node)) return;
    const before = this.down.get(node);
    if (reachable) this.down.set(node, null);
    else if (typeof before !== "number") this.down.set(node, this.ports.now());
    this.act();
  }

  /** The fleet's group has another leader. */
  leaderChanged(): void {
    this.act();
  }

  /** The fleet's state has changed. */
  fleetChanged(): void {
    this.forget();
    this.act();
  }

  /** Does a node answer this one, as far as is known? */
  isReachable(node: number): boolean {
    return typeof this.down.get(node) !== "number";
  }

  /** The nodes of the fleet that do not answer this one, and since when. */
  unreachable(): Map<number, Date> {
    const found = new Map<number, Date>();
    for (const { id, unreachableSince } of this.ports.fleet().nodes.values()) {
      if (id === this.ports.node) continue;
      // Of a node that this one never spoke to it knows what the fleet's leader says.
      const own = this.down.get(id);
      const since = own === undefined ? unreachableSince : own;
      if (since !== null) found.set(id, new Date(since));
    }
    return found;
  }

  /**
   * Nodes that left are not dialled any more: that one went down says nothing once it is back, and
   * nobody would say that it is up before there is something to send to it.
   */
  private forget(): void {
    const { nodes } = this.ports.fleet();
    if (nodes === this.nodes) return;
    for (const id of this.nodes.keys()) {
      if (nodes.has(id)) continue;
      this.down.delete(id);
      this.gone.add(id);
    }
    for (const id of this.gone) {
      if (nodes.has(id) || this.gone.size > DEPARTED_NODES) this.gone.delete(id);
    }
    this.nodes = nodes;
  }

  /** Sends the next command, or waits until there may be one. */
  private act(): void {
    this.timer?.();
    this.timer = undefined;
    if (this.stopped || this.sending) return;
    if (!this.ports.leadsFleet()) {
      this.leadingSince = null;
      return;
    }
    const now = this.ports.now();
    this.leadingSince ??= now;
    if (now < this.retryAt) {
      this.wakeAt(this.retryAt);
      return;
    }
    const command = this.aboutNodes(now) ?? this.aboutGroups(now);
    if (command === null) {
      this.wakeAt(this.nextMoment(now));
      return;
    }
    this.sending = true;
    this.ports.send(command).then(
      () => this.sent(0),
      // Whoever leads the fleet then looks again, so that nothing is lost with a command.
      () => this.sent(this.ports.now() + WATCH_RETRY_MS),
    );
  }

  private sent(retryAt: number): void {
    this.sending = false;
    this.retryAt = retryAt;
    this.act();
  }

  private aboutNodes(now: number): WatchCommand | null {
    for (const node of this.ports.fleet().nodes.values()) {
      const { id, unreachableSince } = node;
      const marked = unreachableSince !== null;
      if (marked && this.answers(id)) return { type: "markReachable", node: id, now };
      const since = this.down.get(id) ?? null;
      if (since === null && !marked) continue;
      if (!marked && now >= this.markAt(id)) {
        return { type: "markUnreachable", node: id, since: since ?? now };
      }
      if (marked && now >= this.purgeAt(node)) {
        const window = this.options.nodePurgeFailureTimeWindow;
        return { type: "purgeNode", node: id, window, now };
      }
    }
    return null;
  }

  private aboutGroups(now: number): WatchCommand | null {
    const fleet = this.ports.fleet();
    if (fleet === this.inOrder || now < this.nextBalance) return null;
    this.nextBalance = now + this.options.balancingInterval;
    if (nextTargets(fleet, 1).length > 0) return { type: "balance", limit: BALANCED_GROUPS };
    this.inOrder = fleet;
    return null;
  }

  /** Is a node known to answer? */
  private answers(node: number): boolean {
    return node === this.ports.node || this.down.get(node) === null;
  }

  private markAt(node: number): number {
    const since = this.down.get(node) ?? null;
    if (since === null || node === this.ports.node) return Number.POSITIVE_INFINITY;
    return since + UNREACHABLE_AFTER_MS;
  }

  /**
   * When a marked node is replaced. This node must have missed it for a while itself: after the
   * whole cluster was down, the mark is old, and the node may be about to come back.
   */
  private purgeAt({ id, unreachableSince, purged }: FleetNode): number {
    if (purged || unreachableSince === null || this.answers(id)) return Number.POSITIVE_INFINITY;
    const window = this.options.nodePurgeFailureTimeWindow;
    const leading = this.leadingSince ?? this.ports.now();
    const missed = this.down.get(id) ?? leading;
    return Math.max(unreachableSince + window, missed + Math.min(window, PURGE_OBSERVED_MS));
  }

  private nextMoment(now: number): number {
    const fleet = this.ports.fleet();
    let next = fleet === this.inOrder ? Number.POSITIVE_INFINITY : this.nextBalance;
    for (const node of fleet.nodes.values()) {
      const marked = node.unreachableSince !== null;
      next = Math.min(next, marked ? this.purgeAt(node) : this.markAt(node.id));
    }
    return Math.max(next, now);
  }

  private wakeAt(moment: number): void {
    if (moment === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(moment - this.ports.now(), OPTION_TIME_MAX_MS);
    this.timer = this.ports.schedule(Math.max(delay, 1), () => this.act());
  }
}
