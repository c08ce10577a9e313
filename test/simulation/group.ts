/**
 * A group as its engines have it, without Raft's messages: one log of what is committed, what its
 * leader has appended, and who is a member.
 *
 * It keeps the promises of Raft and no more. What a leader had appended when it ceased to lead
 * survives up to some entry and is lost from there on; who is elected comes after the last lease.
 */
import { stamped } from "./frames.ts";
import type { World } from "./world.ts";

/** What became of an appended entry. "lost": it is in no log. */
export type Outcome = "applied" | "lost" | "unknown";

/** A committed entry; without a body it is a leader's first. */
export interface Entry {
  readonly term: number;
  readonly body: Uint8Array | null;
}

interface Appended extends Entry {
  readonly done: (outcome: Outcome, index: number) => void;
}

/** The state that a machine had after the entry of this index, as it wrote it. */
export interface Snapshot {
  readonly index: number;
  readonly pieces: readonly Uint8Array[];
}

/** How long a lease lasts, in milliseconds. */
const LEASE_MS = 120;

/** See the head of this file. */
export class SimulatedGroup {
  readonly id: number;
  readonly descriptor: Uint8Array;
  /** Entry `index` stands at `index - 1`. */
  readonly log: Entry[] = [];
  voters: number[];
  learners: number[] = [];
  term = 0;
  /** The node that leads, 0 = none. */
  leader = 0;
  /** The newest snapshot; members that are behind it may get it instead of entries. */
  snapshot: Snapshot | null = null;
  removed = false;
  private readonly world: World;
  private appended: Appended[] = [];
  private leaseUntil = 0;
  private electing = false;
  private committing = false;

  constructor(world: World, id: number, descriptor: Uint8Array, voters: readonly number[]) {
    this.world = world;
    this.id = id;
    this.descriptor = descriptor;
    this.voters = [...voters];
    this.elect(world.time.between(5, 40));
  }

  get members(): number[] {
    return [...this.voters, ...this.learners];
  }

  /** Can its leader commit: does a majority of the voters answer? */
  get hasMajority(): boolean {
    const up = this.voters.filter((node) => this.world.engine(node)?.stores(this.id));
    return up.length * 2 > this.voters.length;
  }

  /** The lease that its leader may take now, as a moment of virtual time; 0 = none. */
  lease(): number {
    if (!this.hasMajority) return 0;
    this.leaseUntil = this.world.time.now + LEASE_MS;
    return this.leaseUntil;
  }

  /** The leader appends an entry. */
  append(body: Uint8Array, done: Appended["done"]): void {
    if (this.removed) {
      done("lost", 0);
      return;
    }
    const { time } = this.world;
    const entry = stamped(body, Math.floor(1_700_000_000_000 + time.now), time.random());
    this.appended.push({ term: this.term, body: entry, done });
    this.commitSoon();
  }

  /** Its leader ceases to lead: at once when it says so itself, else once its lease is over. */
  depose(byItself: boolean, heir?: number): void {
    const { leader } = this;
    this.leader = 0;
    if (byItself) {
      this.world.engine(leader)?.endLease(this.id);
      this.leaseUntil = 0;
    }
    this.elect(byItself ? 0 : this.world.time.between(20, 200), heir);
  }

  /** Nobody has a replica any more: nobody knows what became of what was appended. */
  end(): void {
    this.removed = true;
    for (const { done } of this.appended.splice(0)) done("unknown", 0);
  }

  /** Has a leader elected, in so many milliseconds at least. */
  elect(delay: number, heir?: number): void {
    if (this.electing || this.removed) return;
    this.electing = true;
    const { time } = this.world;
    const wait = Math.max(delay, this.leaseUntil - time.now + 1);
    time.schedule(undefined, wait, () => {
      this.electing = false;
      if (this.leader !== 0 || this.removed) return;
      const able = this.voters.filter((node) => this.world.engine(node)?.isBound(this.id));
      const next = heir !== undefined && able.includes(heir) ? heir : time.pick(able);
      if (next === undefined || !this.hasMajority) this.elect(time.between(20, 100));
      else this.lead(next);
    });
  }

  private lead(node: number): void {
    const { time } = this.world;
    this.settleAppended();
    this.term++;
    this.leader = node;
    this.push({ term: this.term, body: null });
    this.world.trace("leads", node, this.id);
    this.world.engine(node)?.becomeLeader(this);
    for (const member of this.members) {
      const { term } = this;
      const engine = this.world.engine(member);
      if (member === node || engine === undefined) continue;
      time.schedule(engine.owner, time.between(0.5, 60), () => {
        if (this.term === term) engine.tellLeader(this);
      });
    }
  }

  /** What the last leader had appended: some of it is in the logs of a majority. */
  private settleAppended(): void {
    const { time } = this.world;
    const { appended } = this;
    this.appended = [];
    const kept = Math.floor(time.random() * (appended.length + 1));
    const isKnown = time.chance(0.5);
    appended.forEach(({ term, body, done }, at) => {
      if (at >= kept) done(isKnown ? "lost" : "unknown", 0);
      else {
        const index = this.push({ term, body });
        done(isKnown ? "applied" : "unknown", index);
      }
    });
  }

  private commitSoon(): void {
    if (this.committing) return;
    this.committing = true;
    const { time } = this.world;
    const { term } = this;
    time.schedule(undefined, time.between(0.2, 2.5), () => {
      this.committing = false;
      if (this.appended.length === 0) return;
      if (this.leader === 0 || this.term !== term || !this.hasMajority) {
        if (this.leader !== 0) this.commitSoon();
        return;
      }
      const { appended } = this;
      this.appended = [];
      for (const { done, ...entry } of appended) done("applied", this.push(entry));
      for (const member of this.members) this.world.engine(member)?.pump(this);
    });
  }

  private push(entry: Entry): number {
    const index = this.log.push(entry);
    this.world.engine(this.leader)?.telling(this, index);
    this.world.committed(this, index, entry);
    for (const member of this.members) this.world.engine(member)?.pump(this);
    return index;
  }
}
