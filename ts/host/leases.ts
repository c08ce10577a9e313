/**
 * The leases that the engine publishes in shared memory: until when this node may answer reads of a
 * group by itself. ARCHITECTURE.md, "Leases".
 */
import { LEASE_FOREVER, LEASE_TICK_MS } from "../native/frames.ts";

/** Reads lease slots; the time is compared at each read, never cached. */
export class Leases {
  /** Every slot's lease, then every slot's index. */
  private readonly slots: Int32Array;
  private readonly count: number;
  private readonly start: number;

  /**
   * `start` is a reading of `performance.now()` from before the engine was opened: this side's
   * clock then runs ahead of the engine's, so a lease ends here early rather than late.
   */
  constructor(memory: ArrayBuffer, start: number) {
    this.slots = new Int32Array(memory);
    this.count = this.slots.length / 2;
    this.start = start;
  }

  /** May this node answer reads of the group with this slot, now? */
  holds(slot: number): boolean {
    if (slot < 0) return false;
    const until = Atomics.load(this.slots, slot);
    if (until === LEASE_FOREVER) return true;
    return until !== 0 && performance.now() - this.start < until * LEASE_TICK_MS;
  }

  /**
   * How many entries another node may know to be committed, and answer callers from, that are not
   * among the first `applied` ones; not above 0 when there are none. The group with this slot is
   * led by this node.
   */
  missing(slot: number, applied: number): number {
    return (Atomics.load(this.slots, this.count + slot) - applied) | 0;
  }
}
