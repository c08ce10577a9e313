/**
 * Call order while routes change: what is called after a change goes to the new shards and would
 * overtake what is still on its way through the old ones, so it waits for that, key by key.
 */
import type { Held } from "./held.ts";
import { holdKey, type SlowRequest } from "./slow-request.ts";

/** The keys with requests that were under way when their routes changed, and which those are. */
export class Fences {
  private readonly underWay = new Map<string, Set<number>>();
  private readonly held: Held;

  constructor(held: Held) {
    this.held = held;
  }

  /**
   * Makes later requests on the key of one that is under way wait. One of them may wait to be sent
   * again already: its number is given back, it now has to wait behind.
   */
  raise(state: SlowRequest): number | undefined {
    const key = holdKey(state);
    const known = this.underWay.get(key);
    const waiting = known === undefined ? this.held.first(key) : undefined;
    // An earlier request on the key waits already, and later ones behind it.
    if (waiting !== undefined && waiting < state.request) return undefined;
    if (waiting !== undefined) this.held.precede(key, state.request);
    else if (known === undefined) this.held.hold(key, state.request);
    state.fenced = true;
    this.underWay.set(key, (known ?? new Set()).add(state.request));
    return waiting;
  }

  /**
   * A request is about to be sent again, and by another route than earlier ones on its key that are
   * under way still: it becomes one that waits for them. False when there are none.
   */
  yield(state: SlowRequest): boolean {
    for (const request of this.underWay.get(holdKey(state)) ?? []) {
      if (request >= state.request) continue;
      this.lower(state);
      return true;
    }
    return false;
  }

  /** Requests on the key that waited for earlier ones under way and wait for none any more. */
  freed(key: string): number[] {
    return this.held.takeBelow(key, Math.min(...(this.underWay.get(key) ?? [0])));
  }

  /** One that was freed is under way again: later ones still wait for it. */
  add(state: SlowRequest): void {
    state.fenced = true;
    this.underWay.get(holdKey(state))?.add(state.request);
  }

  /** A request that was under way is settled; true when it was the last on its key. */
  lower(state: SlowRequest): boolean {
    const key = holdKey(state);
    const left = this.underWay.get(key);
    left?.delete(state.request);
    state.fenced = false;
    if (left !== undefined && left.size > 0) return false;
    this.underWay.delete(key);
    return true;
  }
}
