/**
 * Time, chance and position of the entry that a replica is applying. One object per replica, set
 * anew for each entry and each command, so that applying a command allocates nothing.
 */
import type { CommandOrigin, EntryContext, Result } from "../machine/machine.ts";

/** What a replica does with the answer to a command that had been parked. */
export type Settle = (origin: CommandOrigin, result: Result) => void;

/** The context of the entry that is being applied, see `EntryContext`. */
export class ReplicaContext implements EntryContext {
  index = 0;
  now = 0;
  private readonly settler: Settle;
  private seedLow = 0;
  private seedHigh = 0;
  private position = 0;
  private seeded = false;
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 0;

  constructor(settler: Settle) {
    this.settler = settler;
  }

  /** Starts an entry. `now` never goes back, even if the new leader's clock is behind. */
  enter(index: number, now: number, seedLow: number, seedHigh: number): void {
    this.index = index;
    if (now > this.now) this.now = now;
    this.seedLow = seedLow;
    this.seedHigh = seedHigh;
    this.position = 0;
    this.seeded = false;
  }

  /** Starts the next command of the entry. */
  nextCommand(): void {
    this.position++;
    this.seeded = false;
  }

  settle(origin: CommandOrigin, result: Result): void {
    this.settler(origin, result);
  }

  /** sfc32 (Chris Doty-Humphrey, PractRand), seeded by the entry's seed and the command's place. */
  random(): number {
    if (!this.seeded) this.seed();
    const sum = (((this.a + this.b) | 0) + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 0x1_0000_0000;
  }

  private seed(): void {
    this.seeded = true;
    this.a = this.seedLow;
    this.b = this.seedHigh;
    this.c = this.position;
    this.d = 1;
    // The first rounds still show the seed's structure; sfc32's author asks for twelve.
    for (let round = 0; round < 12; round++) this.random();
  }
}
