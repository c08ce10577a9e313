/**
 * A child that counts with many clients until it is killed, and what is known of its counters from
 * outside: what it found at its start must be what was acknowledged before.
 */
import { start } from "./programs.ts";

/** What the child does. */
export interface CountingLoad {
  readonly clients: number;
  readonly keys: number;
  readonly ballastBytes: number;
  readonly moving: boolean;
  /** The log grows by more than the 8 MiB after which a snapshot is due. */
  readonly snapshots?: boolean;
}

/** What is known of the counters from outside. */
export class Ledger {
  /** The count that was found at the last start, and what happened to each key since. */
  private readonly found: number[];
  private attempted: number[];
  private acknowledged: number[];
  /** The highest count that was acknowledged. */
  private readonly highest: number[];
  total = 0;

  constructor(keys: number) {
    this.found = new Array(keys).fill(0);
    this.highest = new Array(keys).fill(0);
    this.attempted = new Array(keys).fill(0);
    this.acknowledged = new Array(keys).fill(0);
  }

  take(line: string): void {
    const [kind, text, count] = line.split(" ");
    const key = Number(text);
    if (kind === "a") this.attempted[key] = (this.attempted[key] as number) + 1;
    if (kind === "k") {
      this.total++;
      this.acknowledged[key] = (this.acknowledged[key] as number) + 1;
      this.highest[key] = Math.max(this.highest[key] as number, Number(count));
    }
    if (kind === "v") this.check(key, Number(count));
  }

  private check(key: number, count: number): void {
    const base = this.found[key] as number;
    const least = base + (this.acknowledged[key] as number);
    const most = base + (this.attempted[key] as number);
    if (count < least) throw new Error(`key ${key}: ${least} acknowledged, ${count} are there`);
    if (count > most) throw new Error(`key ${key}: ${most} called, ${count} are there`);
    const highest = this.highest[key] as number;
    if (count < highest) throw new Error(`key ${key}: ${highest} was answered, now it is ${count}`);
    this.found[key] = count;
    this.attempted[key] = 0;
    this.acknowledged[key] = 0;
  }
}

/** Starts the child; `mode` says when its load begins, "check" that it has none. */
export function startCounter(directory: string, load: CountingLoad, mode: string, ledger: Ledger) {
  const child = start("counts-until-killed.mjs", [JSON.stringify({ directory, mode, ...load })]);
  let fault: unknown;
  child.onLine((line) => {
    try {
      ledger.take(line);
    } catch (error) {
      fault ??= error;
    }
  });
  const rethrow = () => {
    if (fault !== undefined) throw fault;
  };
  return { ...child, rethrow };
}
