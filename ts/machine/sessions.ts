/**
 * Exactly-once: the results that a group keeps for each sender until the sender has acknowledged
 * them, so that a command that is sent again is answered and not applied again.
 *
 * The table is part of a group's replicated state: every replica holds the same one, snapshots
 * contain it, and a shard that takes keys over takes their results over (`adopt`). It holds what is
 * in flight and no more: a batch carries its sender's acknowledgement, and a newer incarnation of a
 * node replaces the older one.
 *
 * Invariants: within a session batch numbers grow, and a batch that does not continue them is
 * refused as a whole (a late first attempt must not overtake its own retry); a request below the
 * acknowledgement is never applied.
 */
import type {
  CommandOrigin,
  Result,
  RetainedResult,
  RetainedResults,
  SessionMark,
} from "./machine.ts";
import { Refusal } from "./machine.ts";
import { type PackedRetainedResult, packRetained, unpackRetained } from "./result.ts";
import { TurnedAway } from "./turned-away.ts";

/** Stands where a batch has no result to keep: refused for now, or parked. */
const NOTHING = Symbol("nothing retained");

/** Stands for a request that was turned away where results of others are handed on. */
const TURNED_AWAY = new Refusal("NOT_YET", "the command was turned away; send it again");

/** Results of one batch. Requests are kept as pairs (distance to `base`, hash). */
export class RetainedBatch {
  readonly base: number;
  readonly pairs: Uint32Array;
  readonly results: (Result | typeof NOTHING)[];
  /** Lowest request number in the batch. */
  first = Number.POSITIVE_INFINITY;
  /** Highest request number in the batch. */
  last = 0;
  /** Whose batch it is. */
  readonly session: Session;
  private count = 0;

  constructor(session: Session, base: number, capacity: number) {
    this.session = session;
    this.base = base;
    this.pairs = new Uint32Array(capacity * 2);
    this.results = new Array<Result | typeof NOTHING>(capacity);
  }

  /** Keeps the result of a command that was applied, or notes that there is none to keep. */
  add(request: number, hash: number, result: Result | typeof NOTHING): void {
    const at = this.count;
    this.count = at + 1;
    this.pairs[at * 2] = request - this.base;
    this.pairs[at * 2 + 1] = hash;
    this.results[at] = result;
    if (request > this.last) this.last = request;
    if (request < this.first) this.first = request;
  }

  /** Position of a request that has a result here, or -1. */
  find(request: number): number {
    if (request > this.last || request < this.first) return -1;
    const distance = request - this.base;
    for (let at = 0; at < this.count; at++) {
      if (this.pairs[at * 2] === distance && this.results[at] !== NOTHING) return at;
    }
    return -1;
  }

  /** Calls `visit` for each result that is kept. */
  each(visit: (request: number, hash: number, result: Result) => void): void {
    for (let at = 0; at < this.count; at++) {
      const result = this.results[at] as Result | typeof NOTHING;
      if (result === NOTHING) continue;
      visit(this.base + (this.pairs[at * 2] as number), this.pairs[at * 2 + 1] as number, result);
    }
  }
}

interface Session {
  readonly node: number;
  readonly incarnation: number;
  lastBatch: number;
  acknowledged: number;
  readonly batches: RetainedBatch[];
  readonly turnedAway: TurnedAway;
}

/** What a session looks like in a snapshot: plain values only. */
export interface SessionImage {
  readonly node: number;
  readonly incarnation: number;
  readonly lastBatch: number;
  readonly acknowledged: number;
  readonly results: readonly PackedRetainedResult[];
}

/** Is this the command's final answer? The others ask the sender to try again. */
export function isFinal(result: Result): boolean {
  if (!(result instanceof Refusal)) return true;
  return result.code === "COMMAND_FAILED" || result.code === "REJECTED";
}

/** The sessions of one group, see the head of this file. */
export class Sessions implements RetainedResults {
  /** How many requests were turned away and are to come again. */
  turnedAway = 0;
  private sessions = new Map<number, Session>();

  /**
   * Takes a batch of a session in: applies its acknowledgement and returns where its results go, or
   * `null` when the batch is late and none of its commands may be applied.
   */
  begin(
    node: number,
    incarnation: number,
    number: number,
    acknowledged: number,
    count: number,
  ): RetainedBatch | null {
    const session = this.session(node, incarnation);
    if (session === null || number <= session.lastBatch) return null;
    session.lastBatch = number;
    if (acknowledged > session.acknowledged) {
      session.acknowledged = acknowledged;
      if (session.turnedAway.size > 0) {
        this.turnedAway -= session.turnedAway.forget(acknowledged);
      }
    }
    const { batches } = session;
    let drop = 0;
    while (drop < batches.length && (batches[drop] as RetainedBatch).last < session.acknowledged) {
      drop++;
    }
    if (drop > 0) batches.splice(0, drop);
    const batch = new RetainedBatch(session, acknowledged, count);
    batches.push(batch);
    return batch;
  }

  /** Keeps a result in its batch when it is final; notes one that is to come again. */
  retain(batch: RetainedBatch, request: number, hash: number, result: Result): void {
    if (isFinal(result)) {
      batch.add(request, hash, result);
      if (this.turnedAway > 0) this.cameBack(batch.session, hash, request);
    } else {
      batch.add(request, hash, NOTHING);
      if (batch.session.turnedAway.add(hash, request)) this.turnedAway++;
    }
  }

  /** Notes that a command of the batch is parked: its result comes by `retainLater`. */
  park(batch: RetainedBatch, request: number, hash: number): void {
    batch.add(request, hash, NOTHING);
  }

  /** Keeps the result of a command that had been parked. */
  retainLater(origin: CommandOrigin, result: Result): void {
    this.adopt([{ ...origin, result }]);
  }

  /** A command came in a late batch and was not applied: what was called after it waits for it. */
  late(origin: CommandOrigin): void {
    const { node, incarnation, request, hash } = origin;
    const session = this.sessions.get(node);
    if (session === undefined || session.incarnation !== incarnation) return;
    if (request < session.acknowledged || this.find(node, incarnation, request)) return;
    if (session.turnedAway.add(hash, request)) this.turnedAway++;
  }

  isBehind({ node, incarnation, request, hash }: CommandOrigin): boolean {
    const session = this.sessions.get(node);
    if (session === undefined || session.incarnation !== incarnation) return false;
    return session.turnedAway.isBefore(hash, request, session.acknowledged);
  }

  /** The result of a request that was applied here before, or `undefined`. */
  find(node: number, incarnation: number, request: number): { result: Result } | undefined {
    const session = this.sessions.get(node);
    if (session === undefined || session.incarnation !== incarnation) return undefined;
    for (const batch of session.batches) {
      const at = batch.find(request);
      if (at >= 0) return { result: batch.results[at] as Result };
    }
    return undefined;
  }

  within(start: number, end: number): RetainedResult[] {
    const found: RetainedResult[] = [];
    for (const session of this.sessions.values()) {
      eachRetained(session, (retained) => {
        if (retained.hash >= start && retained.hash < end) found.push(retained);
      });
    }
    return found;
  }

  adopt(results: readonly RetainedResult[]): void {
    for (const { node, incarnation, request, hash, result } of results) {
      const session = this.session(node, incarnation);
      if (session === null || request < session.acknowledged) continue;
      if (this.find(node, incarnation, request) !== undefined) continue;
      if (!isFinal(result)) {
        if (session.turnedAway.add(hash, request)) this.turnedAway++;
        continue;
      }
      const batch = new RetainedBatch(session, request, 1);
      batch.add(request, hash, result);
      session.batches.push(batch);
      this.cameBack(session, hash, request);
    }
  }

  marks(): SessionMark[] {
    const marks: SessionMark[] = [];
    for (const [node, { incarnation, acknowledged, lastBatch }] of this.sessions) {
      marks.push({ node, incarnation, acknowledged, lastBatch });
    }
    return marks;
  }

  adoptMarks(marks: readonly SessionMark[]): void {
    for (const { node, incarnation, acknowledged, lastBatch = 0 } of marks) {
      const session = this.session(node, incarnation);
      if (session === null) continue;
      session.acknowledged = Math.max(session.acknowledged, acknowledged);
      session.lastBatch = Math.max(session.lastBatch, lastBatch);
    }
  }

  isOver({ node, incarnation, request }: CommandOrigin): boolean {
    const session = this.sessions.get(node);
    if (session === undefined || session.incarnation < incarnation) return false;
    return session.incarnation > incarnation || request < session.acknowledged;
  }

  /** How far each session is, as one number after the other: what replicas compare. */
  positions(): number[] {
    const nodes = [...this.sessions].sort(([a], [b]) => a - b);
    return nodes.flatMap(([node, { incarnation, lastBatch, acknowledged }]) => [
      node,
      incarnation,
      lastBatch,
      acknowledged,
    ]);
  }

  /** How many results are kept. */
  get size(): number {
    let size = 0;
    for (const { batches } of this.sessions.values()) {
      for (const batch of batches) batch.each(() => size++);
    }
    return size;
  }

  /** The table as plain values, for a snapshot. */
  image(): SessionImage[] {
    const images: SessionImage[] = [];
    for (const session of this.sessions.values()) {
      const { node, incarnation, lastBatch, acknowledged } = session;
      const results: PackedRetainedResult[] = [];
      eachRetained(session, (retained) => results.push(packRetained(retained)));
      images.push({ node, incarnation, lastBatch, acknowledged, results });
    }
    return images;
  }

  /** Replaces the table by what a snapshot holds. */
  restore(images: readonly SessionImage[]): void {
    this.sessions = new Map();
    this.turnedAway = 0;
    for (const { node, incarnation, lastBatch, acknowledged, results } of images) {
      this.sessions.set(node, { ...newSession(node, incarnation), lastBatch, acknowledged });
      this.adopt(results.map(unpackRetained));
    }
  }

  /** The session of this incarnation, made when it is new; `null` when a newer one is known. */
  private session(node: number, incarnation: number): Session | null {
    const known = this.sessions.get(node);
    if (known !== undefined && known.incarnation === incarnation) return known;
    if (known !== undefined && known.incarnation > incarnation) return null;
    this.turnedAway -= known?.turnedAway.size ?? 0;
    const session = newSession(node, incarnation);
    this.sessions.set(node, session);
    return session;
  }

  private cameBack(session: Session, hash: number, request: number): void {
    if (session.turnedAway.delete(hash, request)) this.turnedAway--;
  }
}

function newSession(node: number, incarnation: number): Session {
  const turnedAway = new TurnedAway();
  return { node, incarnation, lastBatch: 0, acknowledged: 0, batches: [], turnedAway };
}

/** What a session's sender has not settled yet: results, and requests that are to come again. */
function eachRetained(session: Session, visit: (retained: RetainedResult) => void): void {
  const { node, incarnation, acknowledged, batches, turnedAway } = session;
  const give = (request: number, hash: number, result: Result) => {
    // Some below the acknowledgement are still here, but not on a replica that was restored.
    if (request >= acknowledged) visit({ node, incarnation, request, hash, result });
  };
  for (const batch of batches) batch.each(give);
  turnedAway.each((hash, request) => give(request, hash, TURNED_AWAY));
}
