/**
 * The leases that the engine publishes in shared memory: until when this node may answer reads of a
 * group by itself. ARCHITECTURE.md, "Leases".
 */
import { LEASE_FOREVER, LEASE_TICK_MS } from "../native/frames.ts";

/** Reads lease slots; the time is compared at each read, never cached. */
export class Leases {
  private readonly slots: Int32Array;
  private readonly start: number;

  /**
   * `start` is a reading of `performance.now()` from before the engine was opened: this side's
   * clock then runs ahead of the engine's, so a lease ends here early rather than late.
   */
  constructor(memory: ArrayBuffer, start: number) {
    this.slots = new Int32Array(memory);
    this.start = start;
  }

  /** May this node answer reads of the group with this slot, now? */
  holds(slot: number): boolean {
    if (slot < 0) return false;
    const until = Atomics.load(this.slots, slot);
    if (until === LEASE_FOREVER) return true;
    return until !== 0 && performance.now() - this.start < until * LEASE_TICK_MS;
  }
}
