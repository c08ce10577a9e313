/**
 * A replica whose state is not its leader's: it answers nobody, and becomes the leader's state.
 *
 * What comes from the log is still applied, so that the replica could serve if all others were
 * lost, and is kept as well: once the leader's state of some index was installed, what came after
 * that index is applied to it. Its log is as good as any other, so it goes on voting; should it be
 * elected, the engine waits for the host to be ready and gives no lease.
 */
import { REBUILD_KEPT_BYTES_MAX, REBUILD_SLICE_MS_MAX } from "../limits.ts";
import type { NativeEngine } from "../native/engine.ts";
import { EVENT, EVENT_TYPE } from "../native/frames.ts";
import { type Drained, drained, readLong } from "./drained.ts";
import type { Replica } from "./replica.ts";

/** What a quarantine asks its host for. */
export interface QuarantineContext {
  readonly engine: Pick<NativeEngine, "failSnapshot">;
  /** Handles an event as for any replica. */
  step(type: number, from: Drained, rest: number): void;
  /** The replica's state is the leader's again. `term`: this node leads, since that term. */
  released(term: number | null): void;
  /** This node was elected, in this term. */
  elected(term: number): void;
}

/** See the head of this file. */
export class Quarantine {
  /** Are answers to this node's callers held back? */
  isSilent = true;
  private readonly replica: Replica;
  private readonly context: QuarantineContext;
  private kept: Uint8Array[] = [];
  private keptBytes = 0;
  /** Everything after this index is kept. */
  private since: number;
  private isInstalling = false;
  private term: number | null = null;
  private isOver = false;

  constructor(replica: Replica, context: QuarantineContext) {
    this.replica = replica;
    this.context = context;
    this.since = replica.applied;
  }

  /** A state of this index or a later one can be installed. */
  get from(): number {
    return this.since;
  }

  /** Takes an event of the replica; `true`: nothing else is to be done about it. */
  take(type: number, from: Drained, rest: number): boolean {
    switch (type) {
      case EVENT_TYPE.entry:
      case EVENT_TYPE.passedBy:
        this.keep(from, rest);
        return this.isInstalling;
      case EVENT_TYPE.beginSnapshot: {
        const why = "the replica is being rebuilt";
        this.context.engine.failSnapshot(this.replica.group, readLong(from.words, rest), why);
        return true;
      }
      case EVENT_TYPE.leaderReady:
        this.term = readLong(from.words, rest);
        if (!this.isInstalling) this.context.elected(this.term);
        return true;
      case EVENT_TYPE.leaderChanged:
        this.term = null;
        return false;
      case EVENT_TYPE.installSnapshot:
        // The engine brings the leader's state.
        this.end();
        return false;
      default:
        return false;
    }
  }

  /**
   * Makes the replica what its leader was at `index`, from the pieces of its snapshot, and applies
   * what came since then; `false` when that is not all here any more.
   */
  async install(index: number, pieces: readonly Uint8Array[]): Promise<boolean> {
    const { replica } = this;
    if (this.isLate(index)) return false;
    this.isInstalling = true;
    this.isSilent = true;
    replica.reset();
    const turns = new Turns();
    for (const piece of pieces) {
      replica.restore(piece);
      await turns.next();
      if (this.isLate(index)) return false;
    }
    replica.applied = index;
    this.isSilent = false;
    replica.restored();
    while (this.kept.length > 0) {
      // In portions: what comes meanwhile is kept, too.
      for (const event of this.kept.splice(0, 64)) this.replay(event);
      await turns.next();
      if (this.isLate(index)) return false;
    }
    this.release();
    return true;
  }

  /** Is it too late for a state of this index? */
  private isLate(index: number): boolean {
    return this.isOver || index < this.since;
  }

  /** Counts the state as right as it is: there is no other that this one could be compared with. */
  trust(): void {
    if (!this.isOver && !this.isInstalling) this.release();
  }

  /** Ends the quarantine without a word: the replica's state is replaced, or the replica is gone. */
  end(): void {
    this.isOver = true;
    this.kept = [];
    if (this.replica.quarantine === this) this.replica.quarantine = null;
  }

  private release(): void {
    const { term } = this;
    this.end();
    this.context.released(term);
  }

  private keep({ words, bytes }: Drained, rest: number): void {
    const start = rest - EVENT.rest;
    const length = words[start + EVENT.length] as number;
    if (this.keptBytes + length > REBUILD_KEPT_BYTES_MAX) {
      // What was asked for so far comes too late; the next attempt begins from here.
      this.kept = [];
      this.keptBytes = 0;
      this.since = readLong(words, rest) - 1;
    }
    this.kept.push(bytes.slice(start * 4, start * 4 + length));
    this.keptBytes += length;
  }

  private replay(event: Uint8Array): void {
    this.keptBytes -= event.length;
    const from = drained(event);
    if (readLong(from.words, EVENT.rest) <= this.replica.applied) return;
    this.context.step(from.words[EVENT.type] as number, from, EVENT.rest);
  }
}

/** Gives the event loop its turn after a few milliseconds. */
class Turns {
  private until = performance.now() + REBUILD_SLICE_MS_MAX;

  async next(): Promise<void> {
    if (performance.now() < this.until) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.until = performance.now() + REBUILD_SLICE_MS_MAX;
  }
}
