/**
 * Keeps this node's replicas as the fleet's state says: creates and opens the groups that this node
 * is a member of, tells the engine where the others live, and takes removed ones down.
 *
 * It compares what should be with what is, so it may run at any time and any number of times, and
 * a crash in the middle is mended by the next run. Who is a member is decided by a group's own log:
 * a leader makes its members ("member wanted") and dismisses them ("member removed"); only a new
 * group's first member creates it.
 */
import { decodeValue, encodeValue } from "../codec/value.ts";
import { RaftKVError } from "../errors.ts";
import type { GroupChange } from "../fleet/groups.ts";
import {
  FLEET_GROUP,
  type FleetGroup,
  type FleetState,
  groupById,
  isForgotten,
} from "../fleet/state.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import { GROUP_WAIT_MS_MAX, GROUPS_LEFT_OVER_MAX } from "../limits.ts";
import type { StateMachine } from "../machine/machine.ts";
import type { Sessions } from "../machine/sessions.ts";
import type { MemberAddress, NativeEngine } from "../native/engine.ts";
import { Waiters } from "./waiters.ts";

/** What a replica is made with, the same on every node: a group's descriptor. */
export type HostedGroup = Pick<FleetGroup, "id" | "name" | "module" | "settings">;

/** Builds the machine of a group whose code is bound. */
export type BuildMachine = (group: HostedGroup, sessions: Sessions) => StateMachine;

/** What the groups ask the rest of the node. */
export interface GroupsContext {
  /** The fleet's state as this node knows it. */
  fleet(): FleetState;
  /** Can other nodes reach this one? Then it keeps groups whose code is not bound. */
  readonly hasPeers: boolean;
  /** Tells the fleet that this node has taken a group down. */
  confirmRemoved(group: FleetGroup): Promise<void>;
  /** A replica was made, and is about to be opened. */
  attached(replica: Replica): void;
  /** The group's replica is gone, and with it the answers that would have come through it. */
  detached(group: number): void;
  /** Something failed that will be tried again. */
  warn(message: string, cause: unknown): void;
}

/** How long to wait before a group that could not be opened is tried again, in milliseconds. */
const RETRY_MS = 500;

/** The bytes that a group's replicas are created with. */
export function groupDescriptor({ name, module, settings }: Omit<HostedGroup, "id">): Uint8Array {
  return encodeValue({ name, module, settings });
}

/** This node's groups, see the head of this file. */
export class LocalGroups {
  private readonly engine: NativeEngine;
  private readonly host: Host;
  private readonly node: number;
  private readonly context: GroupsContext;
  private readonly builders = new Map<string, BuildMachine>();
  /** Groups of which the engine has a replica, open or not. */
  private readonly stored = new Map<number, HostedGroup>();
  /** Those that no state of the fleet had in it which this node followed. */
  private readonly unheard = new Set<number>();
  /** Those that are open without their code. */
  private readonly following = new Set<number>();
  private readonly opening = new Map<number, Promise<Replica>>();
  private readonly opened = new Set<number>();
  /** New groups that this node has given their first members, or tried to. */
  private readonly begun = new Set<number>();
  private readonly removing = new Set<number>();
  /** Which state of a group that is not here the engine was told. */
  private readonly elsewhere = new Map<number, number>();
  /**
   * How many groups left something in the engine since the fleet's state took the place of it. What
   * a former process left goes with the first one.
   */
  private leftOver = GROUPS_LEFT_OVER_MAX - 1;
  private readonly awaitingOpen = new Waiters<Replica>();
  private readonly awaitingLeader = new Waiters<void>();
  private retry: NodeJS.Timeout | undefined;
  private boundSoon: NodeJS.Immediate | undefined;
  private closed = false;

  constructor(engine: NativeEngine, host: Host, node: number, context: GroupsContext) {
    this.engine = engine;
    this.host = host;
    this.node = node;
    this.context = context;
    for (const { group, descriptor } of engine.storedGroups()) this.keep(group, descriptor);
  }

  /** Binds code: groups of this module are opened from now on. */
  bind(module: string, build: BuildMachine): void {
    this.builders.set(module, build);
    // One look for all that are bound in this turn.
    this.boundSoon ??= setImmediate(() => {
      this.boundSoon = undefined;
      this.reconcile();
    });
  }

  /** Is the code of this module bound? */
  isBound(module: string): boolean {
    return this.builders.has(module);
  }

  /** Has this node's replica of a group been opened? */
  isOpen(group: number): boolean {
    return this.opened.has(group);
  }

  /** The groups of which there is a replica here, open or not. */
  storedGroups(): Iterable<number> {
    return this.stored.keys();
  }

  /** Brings this node's replicas to what the fleet says. */
  reconcile(): void {
    if (this.closed) return;
    const fleet = this.context.fleet();
    for (const group of fleet.groups.values()) this.reconcileOne(group);
    for (const id of [...this.elsewhere.keys(), ...this.stored.keys()]) {
      if (isForgotten(fleet, id)) this.forget(id);
    }
    this.checkUnheard(fleet);
  }

  /** Does the same where the fleet's groups have changed since this or `reconcile` was last called. */
  follow(changed: readonly GroupChange[]): void {
    if (this.closed) return;
    const fleet = this.context.fleet();
    for (const { before, after } of changed) {
      if (after !== undefined) this.reconcileOne(after);
      else if (before !== undefined && isForgotten(fleet, before.id)) this.forget(before.id);
    }
    this.checkUnheard(fleet);
  }

  /**
   * Waits until this node's replica of a group is open. @throws `NO_LEADER` when the group's leader
   * made none in time
   */
  open(group: FleetGroup): Promise<Replica> {
    const { id } = group;
    const replica = this.host.replica(id);
    if (replica !== undefined && this.opened.has(id)) return Promise.resolve(replica);
    const running = this.opening.get(id);
    if (running !== undefined) return running;
    if (this.stored.has(id) || this.creates(group)) return this.start(group);
    return this.awaitingOpen.wait(id, GROUP_WAIT_MS_MAX, () => noLeader(group));
  }

  /** Waits until a group can be called: it is led, as this node's replica or the fleet says. */
  async ready(group: FleetGroup): Promise<void> {
    const isHere = this.stored.has(group.id) || this.creates(group);
    const isLed = isHere ? (await this.open(group)).isServed : group.created;
    if (isLed) return;
    await this.awaitingLeader.wait(group.id, GROUP_WAIT_MS_MAX, () => noLeader(group));
  }

  /** A group has another leader, or none. */
  leaderChanged(replica: Replica): void {
    if (replica.isServed) this.awaitingLeader.resolve(replica.group);
  }

  /** A leader made this node a member: the engine holds a replica, without its code. */
  memberWanted(group: number, descriptor: Uint8Array): void {
    this.keep(group, descriptor);
    this.following.add(group);
    this.elsewhere.delete(group);
    if (isForgotten(this.context.fleet(), group)) void this.discard(group);
    else this.openSoon(this.stored.get(group) as HostedGroup);
  }

  /** This node is no member any more: the engine has deleted the replica. */
  memberRemoved(group: number): void {
    this.stored.delete(group);
    this.following.delete(group);
    this.opened.delete(group);
    this.leftSomething();
    const known = groupById(this.context.fleet(), group);
    if (known !== undefined && !this.closed) this.reconcileOne(known);
    this.context.detached(group);
  }

  /**
   * Closes this node's replica, has `change` done to what is stored of it, and opens it again, also
   * when that fails.
   */
  async reopen(id: number, change: () => Promise<void>): Promise<void> {
    const group = this.stored.get(id);
    if (group === undefined || this.removing.has(id)) {
      throw new RaftKVError("NOT_FOUND", `this node has no replica of group ${id}`);
    }
    this.removing.add(id);
    try {
      await this.opening.get(id)?.catch(() => undefined);
      this.host.detach(id);
      this.opened.delete(id);
      this.following.delete(id);
      await change();
      // What was given of the replica that was closed must not reach the next one.
      await this.host.handled();
    } finally {
      this.removing.delete(id);
      if (!this.closed) this.openSoon(group);
    }
  }

  /** Opens and removes nothing any more, and ends what waits with `error`. */
  close(error: RaftKVError): void {
    this.closed = true;
    clearTimeout(this.retry);
    clearImmediate(this.boundSoon);
    this.awaitingOpen.rejectAll(error);
    this.awaitingLeader.rejectAll(error);
  }

  private reconcileOne(group: FleetGroup): void {
    if (group.id === FLEET_GROUP) return;
    if (group.created) this.awaitingLeader.resolve(group.id);
    if (group.state === "removing") this.takeDown(group);
    else if (this.waitsForLostCreator(group)) this.beginAgain(group);
    else if (this.stored.has(group.id) || this.creates(group)) this.openSoon(group);
    else this.lookElsewhere(group);
  }

  /** The fleet has forgotten a group. */
  private forget(id: number): void {
    if (this.elsewhere.has(id)) this.forgetElsewhere(id);
    if (this.stored.has(id)) void this.discard(id);
  }

  /** A leader may have made a replica here of a group that the fleet adds, and drops, only later. */
  private checkUnheard(fleet: FleetState): void {
    for (const id of this.unheard) {
      if (isForgotten(fleet, id)) this.forget(id);
      else if (groupById(fleet, id) === undefined) continue;
      this.unheard.delete(id);
    }
  }

  private keep(group: number, descriptor: Uint8Array): void {
    if (group === FLEET_GROUP) return;
    const { name, module, settings } = decodeValue(descriptor) as Omit<HostedGroup, "id">;
    this.store({ id: group, name, module, settings });
  }

  private store(group: HostedGroup): void {
    this.stored.set(group.id, group);
    this.unheard.add(group.id);
  }

  /** Is it this node that makes a new group? */
  private creates({ created, members }: FleetGroup): boolean {
    return !created && members[0] === this.node;
  }

  /**
   * Is there an open replica here that waits for the node that was to begin the group, and is it
   * this node's turn now?
   */
  private waitsForLostCreator(group: FleetGroup): boolean {
    const { id } = group;
    if (!this.creates(group) || !this.opened.has(id) || this.begun.has(id)) return false;
    return this.host.replica(id)?.isServed === false && !this.removing.has(id);
  }

  private beginAgain({ id, name }: FleetGroup): void {
    this.reopen(id, () => this.engine.closeGroup(id)).catch((error: unknown) =>
      this.failed(`begin ${name}`, error),
    );
  }

  private openSoon(group: HostedGroup): void {
    const { id, name, module } = group;
    if (this.opened.has(id) || this.opening.has(id) || this.removing.has(id)) return;
    if (this.builders.has(module)) {
      this.start(group).catch((error: unknown) => this.failed(`open ${name}`, error));
    } else if (this.keepsUnbound(id)) {
      this.following.add(id);
      this.engine.openUnbound(id).catch((error: unknown) => {
        this.following.delete(id);
        this.failed(`keep ${name}`, error);
      });
    }
  }

  /**
   * Is a group that is stored here to be open without its code? Not where this node was killed while
   * it created the group: only the creation, done again, gives it its members and has it led.
   */
  private keepsUnbound(id: number): boolean {
    if (!this.context.hasPeers || !this.stored.has(id) || this.following.has(id)) return false;
    const known = groupById(this.context.fleet(), id);
    return known === undefined || !this.creates(known);
  }

  private start(group: HostedGroup): Promise<Replica> {
    const opening = this.make(group).finally(() => this.opening.delete(group.id));
    this.opening.set(group.id, opening);
    return opening;
  }

  private async make(group: HostedGroup): Promise<Replica> {
    const { id, name, module } = group;
    const build = this.builders.get(module);
    if (build === undefined) throw new Error(`the code of ${module} is not bound`);
    const replica = this.host.attach(id, name, (sessions) => build(group, sessions));
    this.context.attached(replica);
    try {
      const known = this.context.fleet().groups.get(name);
      const creates = known?.id === id && this.creates(known);
      // What a creator that was killed had begun is done again.
      replica.leaseSlot = creates ? await this.create(known) : await this.engine.bindGroup(id);
      if (!this.stored.has(id)) throw new Error("it was removed meanwhile");
      this.opened.add(id);
      this.following.delete(id);
      this.awaitingOpen.resolve(id, replica);
      return replica;
    } catch (error) {
      if (this.host.replica(id) === replica) this.host.detach(id);
      throw error;
    }
  }

  private async create(group: FleetGroup): Promise<number> {
    const { id, name, module, settings, members } = group;
    const descriptor = groupDescriptor(group);
    this.begun.add(id);
    const slot = await this.engine.createGroupWith(id, descriptor, this.addresses(members));
    this.store({ id, name, module, settings });
    return slot;
  }

  /** Commands for a group without a replica here are sent to its members. */
  private lookElsewhere(group: FleetGroup): void {
    const { id, members, leaving, version, confirmed } = group;
    const settled = version === confirmed;
    const told = version * 2 + (settled ? 1 : 0);
    if (this.elsewhere.get(id) === told) return;
    this.elsewhere.set(id, told);
    const holders = settled ? members : [...members, ...leaving];
    const others = this.addresses(holders.filter((node) => node !== this.node));
    this.engine.setMembersElsewhere(id, others).catch((error: unknown) => {
      this.elsewhere.delete(id);
      // A leader made this node a member at the same moment: nothing is elsewhere any more.
      if (!this.stored.has(id)) this.failed(`follow where ${group.name} lives`, error);
    });
  }

  private forgetElsewhere(id: number): void {
    this.elsewhere.delete(id);
    this.engine.setMembersElsewhere(id, []).catch(() => undefined);
  }

  private addresses(nodes: readonly number[]): MemberAddress[] {
    const known = this.context.fleet().nodes;
    return nodes.map((node) => ({ node, address: known.get(node)?.address ?? "" }));
  }

  private takeDown(group: FleetGroup): void {
    if (this.elsewhere.has(group.id)) this.forgetElsewhere(group.id);
    if (group.members.includes(this.node)) void this.remove(group);
  }

  private async remove(group: FleetGroup): Promise<void> {
    if (!(await this.discard(group.id))) return;
    await this.context
      .confirmRemoved(group)
      .catch((error: unknown) => this.failed(`confirm the removal of ${group.name}`, error));
  }

  /** Deletes this node's replica of a group, if it has one; false: not now. */
  private async discard(id: number): Promise<boolean> {
    if (this.removing.has(id)) return false;
    this.removing.add(id);
    try {
      await this.opening.get(id)?.catch(() => undefined);
      this.host.detach(id);
      this.opened.delete(id);
      await this.engine.removeGroup(id);
      this.stored.delete(id);
      this.following.delete(id);
      this.begun.delete(id);
      this.leftSomething();
      this.context.detached(id);
      return true;
    } catch (error) {
      this.failed(`remove group ${id}`, error);
      return false;
    } finally {
      this.removing.delete(id);
    }
  }

  /** Now and then, the state of the fleet takes the place of what removed groups left here. */
  private leftSomething(): void {
    this.leftOver++;
    if (this.leftOver < GROUPS_LEFT_OVER_MAX) return;
    this.leftOver = 0;
    const { nextGroup, groups } = this.context.fleet();
    const existing = [FLEET_GROUP, ...Array.from(groups.values(), ({ id }) => id)];
    this.engine.forgetRemoved(nextGroup, existing).catch((error: unknown) => {
      if (!this.closed) this.context.warn("could not forget removed groups", error);
    });
  }

  private failed(what: string, error: unknown): void {
    if (this.closed) return;
    this.context.warn(`could not ${what}; trying again`, error);
    this.retry ??= setTimeout(() => {
      this.retry = undefined;
      this.reconcile();
    }, RETRY_MS).unref();
  }
}

function noLeader({ name }: FleetGroup): RaftKVError {
  return new RaftKVError(
    "NO_LEADER",
    `no leader of ${name} has made this node a member; is a majority of its nodes up?`,
    { group: name, outcome: "not applied" },
  );
}
