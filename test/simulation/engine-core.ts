/**
 * What a simulated engine keeps of its node, and what its world does to it: the groups that are open,
 * up to where their log was given, leases, and the queue of events.
 */
import type { OnEvents } from "../../ts/native/engine.ts";
import { LEASE_FOREVER, LEASE_TICK_MS, PEER_STATE } from "../../ts/native/frames.ts";
import { events } from "../host/support.ts";
import { made } from "./frames.ts";
import type { SimulatedGroup, Snapshot } from "./group.ts";
import type { Line } from "./lines.ts";
import type { Owner } from "./virtual-time.ts";
import type { World } from "./world.ts";

const SLOTS = 256;
const LEASE_RENEWAL_MS = 40;

/** What a node keeps when its process dies. */
export interface Disk {
  readonly node: number;
  incarnation: number;
  cluster: number;
  readonly stored: Map<number, { readonly descriptor: Uint8Array; snapshot: Snapshot | null }>;
}

interface Open {
  readonly slot: number;
  bound: boolean;
  /** Up to which entry the host was given the log. */
  given: number;
  pumping: boolean;
  leader: number;
  /** The term in which the host said that it is ready to lead. */
  ready: number;
  /** The entry behind which it is to be asked so, or 0. */
  readyAt: number;
  /** What is to be pushed behind an entry. */
  behind: { readonly index: number; readonly frame: Buffer }[];
  wanted: Map<number, (results: Uint8Array | null) => void>;
  writing: {
    readonly number: number;
    readonly index: number;
    readonly pieces: Uint8Array[];
  } | null;
}

/** See the head of this file. */
export class EngineCore {
  readonly world: World;
  readonly disk: Disk;
  readonly owner: Owner;
  isRunning = true;
  protected readonly onEvents: OnEvents;
  protected readonly openedAt: number;
  protected readonly memory = new ArrayBuffer(SLOTS * 8);
  protected readonly slots = new Int32Array(this.memory);
  readonly open = new Map<number, Open>();
  protected readonly lines = new Map<number, Line>();
  protected readonly routes = new Map<
    number,
    { name: string; starts: number[]; groups: number[] }
  >();
  protected readonly elsewhere = new Map<number, readonly number[]>();
  protected queue: { readonly frame: Buffer; readonly then: (() => void) | undefined }[] = [];
  protected batches = 0;
  protected nextSlot = 0;

  constructor(world: World, disk: Disk, owner: Owner, onEvents: OnEvents) {
    this.world = world;
    this.disk = disk;
    this.owner = owner;
    this.onEvents = onEvents;
    this.openedAt = world.time.now;
    disk.incarnation++;
    this.renewLeases();
  }

  get node(): number {
    return this.disk.node;
  }

  get session() {
    return { node: this.disk.node, incarnation: this.disk.incarnation };
  }

  /** The process is gone, or the engine closed. */
  stop(): void {
    this.isRunning = false;
    for (const { wanted } of this.open.values()) for (const answer of wanted.values()) answer(null);
  }

  // Events

  push(frame: Buffer, then?: () => void): void {
    if (!this.isRunning) return;
    this.queue.push({ frame, then });
    if (this.queue.length > 1) return;
    this.world.time.schedule(this.owner, this.world.time.between(0, 0.3), () => this.deliver());
  }

  protected deliver(): void {
    const queue = this.queue.splice(0);
    const length = queue.reduce((sum, { frame }) => sum + frame.length, 0);
    const bytes = Buffer.from(new ArrayBuffer(length));
    let at = 0;
    for (const { frame } of queue) {
      bytes.set(frame, at);
      at += frame.length;
    }
    this.world.trace("events", this.node, length);
    this.onEvents(bytes, false);
    for (const { then } of queue) then?.();
  }

  pushResults(group: number, results: Uint8Array): void {
    this.push(events.results(group, results));
  }

  // What the world asks

  stores(group: number): boolean {
    return this.isRunning && this.disk.stored.has(group);
  }

  isBound(group: number): boolean {
    return this.stores(group) && this.open.get(group)?.bound === true;
  }

  /** Does this node lead, with everything of earlier terms applied by its host? */
  leads(group: SimulatedGroup): boolean {
    const open = this.open.get(group.id);
    return this.isRunning && group.leader === this.node && open?.ready === group.term;
  }

  knownLeader(group: number): number {
    return this.open.get(group)?.leader ?? 0;
  }

  othersOf(group: number): readonly number[] {
    const members = this.disk.stored.has(group)
      ? (this.world.groups.get(group)?.members ?? [])
      : (this.elsewhere.get(group) ?? []);
    return members.filter((node) => node !== this.node);
  }

  becomeLeader(group: SimulatedGroup): void {
    const open = this.open.get(group.id);
    if (open === undefined) return;
    this.tellLeader(group);
    open.readyAt = group.log.length;
    open.ready = 0;
    this.pump(group);
  }

  tellLeader(group: SimulatedGroup): void {
    const open = this.open.get(group.id);
    if (open === undefined || !this.isRunning) return;
    open.leader = group.leader;
    if (open.bound) this.push(made.leader(group.id, group.leader, group.term));
  }

  /** Other nodes may know from now on that the entry is committed. */
  telling(group: SimulatedGroup, index: number): void {
    const open = this.open.get(group.id);
    if (open === undefined || group.members.length < 2) return;
    Atomics.store(this.slots, SLOTS + open.slot, index | 0);
  }

  endLease(group: number): void {
    const open = this.open.get(group);
    if (open !== undefined) Atomics.store(this.slots, open.slot, 0);
  }

  /** Gives the host what has been committed, a little later. */
  pump(group: SimulatedGroup): void {
    const open = this.open.get(group.id);
    if (open === undefined || !open.bound || open.pumping) return;
    open.pumping = true;
    const { time, chaos } = this.world;
    const isSlow = time.chance(chaos.slow);
    const most = group.leader === this.node ? (isSlow ? 20 : 1) : isSlow ? 400 : 8;
    time.schedule(this.owner, time.between(0, most), () => {
      open.pumping = false;
      if (this.open.get(group.id) === open && this.isRunning) this.give(group, open);
    });
  }

  wantResults(
    group: SimulatedGroup,
    index: number,
    entry: Uint8Array,
    answer: (results: Uint8Array | null) => void,
  ): void {
    const open = this.open.get(group.id);
    if (open === undefined || !this.isRunning) {
      answer(null);
      return;
    }
    const ticket = this.world.ticket();
    open.wanted.set(ticket, answer);
    const frame = events.resultsWanted(group.id, ticket, entry);
    this.pushBehind(open, index, frame);
  }

  /** A leader has a member here. */
  becomeMember(group: SimulatedGroup): void {
    if (!this.isRunning || this.disk.stored.has(group.id)) return;
    this.disk.stored.set(group.id, { descriptor: group.descriptor, snapshot: null });
    this.elsewhere.delete(group.id);
    this.opened(group.id, false);
    this.push(made.memberWanted(group.id, group.descriptor));
  }

  /** This node is no member any more. */
  dismiss(group: number): void {
    if (!this.isRunning || !this.disk.stored.has(group)) return;
    this.drop(group);
    this.push(made.memberRemoved(group));
  }

  requestSnapshot(group: SimulatedGroup): void {
    const open = this.open.get(group.id);
    if (open === undefined || !this.isBound(group.id) || open.writing !== null) return;
    const number = this.world.ticket();
    open.writing = { number, index: open.given, pieces: [] };
    this.push(made.beginSnapshot(group.id, number));
  }

  protected give(group: SimulatedGroup, open: Open): void {
    const { id, log, snapshot } = group;
    const { chaos, time } = this.world;
    const behind = snapshot !== null && open.given < snapshot.index - chaos.logKept;
    if (snapshot !== null && behind && group.leader !== this.node && time.chance(0.5)) {
      this.install(id, open, snapshot);
    }
    while (open.given < log.length) {
      const index = ++open.given;
      const { term, body } = log[index - 1]!;
      if (body === null) this.push(events.passedBy(id, index));
      else this.push(made.entry(id, index, term, body));
      this.pushDue(open);
    }
    if (open.readyAt > 0 && open.given >= open.readyAt && group.leader === this.node) {
      open.readyAt = 0;
      this.push(made.leaderReady(id, group.term));
    }
  }

  protected install(group: number, open: Open, { index, pieces }: Snapshot): void {
    open.writing = null;
    this.push(made.installSnapshot(group));
    for (const piece of pieces) this.push(made.snapshotChunk(group, piece));
    this.push(made.snapshotInstalled(group));
    open.given = index;
    this.pushDue(open);
    const stored = this.disk.stored.get(group);
    if (stored !== undefined) stored.snapshot = { index, pieces };
  }

  protected pushBehind(open: Open, index: number, frame: Buffer): void {
    open.behind.push({ index, frame });
    this.pushDue(open);
  }

  protected pushDue(open: Open): void {
    for (const { frame } of open.behind.filter(({ index }) => index <= open.given)) {
      this.push(frame);
    }
    open.behind = open.behind.filter(({ index }) => index > open.given);
  }

  protected opened(group: number, bound: boolean): Open {
    const known = this.open.get(group);
    const open: Open = {
      ...{ slot: known?.slot ?? this.nextSlot++, bound, given: 0, pumping: false },
      ...{ leader: known?.leader ?? 0, ready: 0, readyAt: 0, behind: [], writing: null },
      wanted: new Map(),
    };
    this.open.set(group, open);
    return open;
  }

  protected drop(group: number): void {
    const open = this.open.get(group);
    this.endLease(group);
    this.open.delete(group);
    this.disk.stored.delete(group);
    for (const answer of open?.wanted.values() ?? []) answer(null);
    this.lines.get(group)?.end();
    this.world.left(group, this.node);
  }

  protected renewLeases(): void {
    this.world.time.schedule(this.owner, LEASE_RENEWAL_MS, () => {
      if (!this.isRunning) return;
      for (const id of this.open.keys()) this.renew(id);
      this.renewLeases();
    });
  }

  protected renew(id: number): void {
    const group = this.world.groups.get(id);
    const open = this.open.get(id);
    if (group === undefined || open === undefined || !this.leads(group)) return;
    const until = Math.floor((group.lease() - this.openedAt) / LEASE_TICK_MS);
    if (until <= 0) return;
    Atomics.store(this.slots, open.slot, group.members.length === 1 ? LEASE_FOREVER : until);
  }

  peerChanged(node: number, state: keyof typeof PEER_STATE, incarnation: number): void {
    this.push(made.peerChanged(node, PEER_STATE[state], incarnation));
  }
}
