/**
 * Call order while routes change: what is called after a change goes to the new shards and would
 * overtake what is still on its way through the old ones, so it waits for that, key by key.
 */
import type { Held } from "./held.ts";
import { holdKey, type SlowRequest } from "./slow-request.ts";

/** The keys with requests that were under way when their routes changed, and how many are left. */
export class Fences {
  private readonly counts = new Map<string, number>();
  private readonly held: Held;

  constructor(held: Held) {
    this.held = held;
  }

  /** Makes later requests on the key of one that is under way wait. */
  raise(state: SlowRequest): void {
    const key = holdKey(state);
    const count = this.counts.get(key) ?? 0;
    if (count === 0) {
      // An earlier request on the key waits already, and later ones behind it.
      if (this.held.has(key)) return;
      this.held.hold(key, state.request);
    }
    state.fenced = true;
    this.counts.set(key, count + 1);
  }

  /** A request that was under way is settled; true when it was the last on its key. */
  lower(state: SlowRequest): boolean {
    const key = holdKey(state);
    const left = (this.counts.get(key) ?? 1) - 1;
    state.fenced = false;
    if (left > 0) this.counts.set(key, left);
    else this.counts.delete(key);
    return left <= 0;
  }
}
