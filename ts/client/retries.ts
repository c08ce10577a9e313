/**
 * Requests that are about to be sent again, as retries: those of one tick share a frame, in the
 * order of their numbers.
 */
import type { NativeEngine } from "../native/engine.ts";
import { ROUTE_GROUP } from "../native/frames.ts";
import { recordKey, retryFrame, setRecordHash } from "./outbox.ts";
import type { SlowRequest } from "./slow-request.ts";

/** What is done for the requests of a frame. */
export interface RetriesContext {
  /** The lowest request number that is not settled. */
  acknowledged(): number;
  /** The engine did not take these. */
  refused(states: readonly SlowRequest[], error: unknown): void;
  /** Something was handed over: its time limits are to be looked at. */
  sent(): void;
}

/** See the head of this file. */
export class Retries {
  private readonly engine: Pick<NativeEngine, "submit" | "hashKey">;
  private readonly context: RetriesContext;
  private readonly states = new Set<SlowRequest>();
  private scheduled = false;
  private closed = false;

  constructor(engine: Pick<NativeEngine, "submit" | "hashKey">, context: RetriesContext) {
    this.engine = engine;
    this.context = context;
  }

  /** Sends a request again at the end of the tick. */
  add(state: SlowRequest): void {
    if (this.closed) return;
    this.states.add(state);
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => this.flush());
  }

  /** A request is settled: it is not sent again. */
  delete(state: SlowRequest): void {
    this.states.delete(state);
  }

  /** Sends nothing any more. */
  close(): void {
    this.closed = true;
    this.states.clear();
  }

  /** Hands what waits to the engine now. */
  flush(): void {
    this.scheduled = false;
    if (this.states.size === 0) return;
    const states = [...this.states].sort((a, b) => a.request - b.request);
    this.states.clear();
    const base = this.context.acknowledged();
    for (const state of states) this.hashIfRouted(state);
    try {
      const frame = retryFrame(states, base);
      this.engine.submit(frame, frame.length, base);
    } catch (error) {
      this.context.refused(states, error);
    }
    this.context.sent();
  }

  /** A keyed command that goes to a group by its number brings its hash along. */
  private hashIfRouted(state: SlowRequest): void {
    if (state.route === state.home || (state.home & ROUTE_GROUP) !== 0) return;
    const found = this.engine.hashKey(state.home, recordKey(state.record));
    if (found !== null) setRecordHash(state.record, found.hash, found.fingerprint);
  }
}
