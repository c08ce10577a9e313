/**
 * The time that calls have had. It stands still while the event loop is held up, by the program's
 * own work or a long collection: answers that came meanwhile wait to be taken, and a limit that
 * runs out in that time would end calls that were answered long ago.
 */

/** How much later than its interval a tick is to count as held up, in milliseconds. */
const HELD_UP_MS = 100;

/** See the head of this file. */
export class CallClock {
  private readonly interval: number;
  private heldUp = 0;
  private last = 0;

  /** `interval`: how often `tick` is called, in milliseconds. */
  constructor(interval: number) {
    this.interval = interval;
  }

  /** Milliseconds, never going back. */
  now(): number {
    return performance.now() - this.heldUp;
  }

  /** Ticks begin: the time before is not looked at. */
  start(): void {
    this.last = performance.now();
  }

  /** The interval is over; gives the time that counts now. */
  tick(): number {
    const now = performance.now();
    const late = now - this.last - this.interval;
    if (late > HELD_UP_MS) this.heldUp += late;
    this.last = now;
    return now - this.heldUp;
  }
}
