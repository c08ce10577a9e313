/**
 * Virtual time for a whole process: while it is installed, timers, clocks and chance of everything
 * that runs are its own, so nothing in ts/ can wait for real or behave otherwise next time.
 *
 * Timers belong to who was at work when they were set; those of a node that has crashed never fire.
 * After each timer all promises that can go on without time passing do so, before the next one.
 */
import { Timers } from "../cluster/timers.ts";

/** A process that can die. */
export interface Owner {
  alive: boolean;
}

/** When virtual time begins, in milliseconds since 1970. */
const EPOCH_MS = 1_700_000_000_000;

/** What `setTimeout` gives. */
class Handle {
  readonly cancel: () => void;

  constructor(cancel: () => void) {
    this.cancel = cancel;
  }

  ref = () => this;
  unref = () => this;
  hasRef = () => false;
}

type Callback = (...rest: unknown[]) => void;

const REAL = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
};

/** See the head of this file. */
export class VirtualTime {
  /** Milliseconds. */
  now = 0;
  /** Timers that fired. */
  steps = 0;
  /** Why the run has to end. */
  failure: unknown;
  private readonly timers = new Timers();
  private current: Owner | undefined;
  private state: number;

  constructor(seed: number) {
    this.state = Math.imul(seed, 0x9e3779b1) | 0;
  }

  /** The next number of the seed's sequence, 0 <= n < 1. */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(all: readonly T[]): T | undefined {
    return all[Math.floor(this.random() * all.length)];
  }

  /** Calls back later on behalf of `owner`, unless that has died by then. */
  schedule(owner: Owner | undefined, delay: number, callback: () => void): () => void {
    return this.timers.add(this.now + delay, () => {
      if (owner?.alive === false) return;
      this.current = owner;
      try {
        callback();
      } catch (error) {
        this.fail(error);
      }
    });
  }

  /** Does something as `owner` would, and lets what follows from it belong to it. */
  async as<T>(owner: Owner, work: () => T): Promise<T> {
    return new Promise((resolve) => this.schedule(owner, 0, () => resolve(work())));
  }

  pause(owner: Owner | undefined, milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.schedule(owner, milliseconds, resolve));
  }

  fail(error: unknown): void {
    this.failure ??= error;
  }

  /** Lets time pass until something holds, or for so long; whether it holds. */
  async run(most: number, until: () => boolean = () => false): Promise<boolean> {
    const limit = this.now + most;
    for (;;) {
      await new Promise((resolve) => REAL.setImmediate(resolve));
      this.current = undefined;
      if (this.failure !== undefined) throw this.failure;
      if (until()) return true;
      const next = this.timers.next(limit);
      if (next === undefined) {
        this.now = limit;
        return false;
      }
      this.now = Math.max(this.now, next.at);
      this.steps++;
      next.callback();
    }
  }

  /** Takes the process's clocks, timers and chance over; what comes back undoes it. */
  install(): () => void {
    const { performance, Math: mathematics, Date: dates } = globalThis;
    const before = { now: performance.now, random: mathematics.random, date: dates.now };
    const set = (repeat: boolean, callback: Callback, delay: unknown, rest: unknown[]) =>
      this.set(repeat, Math.max(1, Number(delay) || 0), () => callback(...rest));
    const clear = (handle: unknown) => {
      if (handle instanceof Handle) handle.cancel();
    };
    Object.assign(globalThis, {
      setTimeout: (callback: Callback, delay?: unknown, ...rest: unknown[]) =>
        set(false, callback, delay, rest),
      setInterval: (callback: Callback, delay?: unknown, ...rest: unknown[]) =>
        set(true, callback, delay, rest),
      setImmediate: (callback: Callback, ...rest: unknown[]) =>
        this.set(false, 0, () => callback(...rest)),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    });
    performance.now = () => this.now;
    mathematics.random = () => this.random();
    dates.now = () => EPOCH_MS + Math.floor(this.now);
    return () => {
      Object.assign(globalThis, REAL);
      performance.now = before.now;
      mathematics.random = before.random;
      dates.now = before.date;
    };
  }

  private set(repeat: boolean, delay: number, callback: () => void): Handle {
    const owner = this.current;
    let cancel: () => void = () => undefined;
    let cancelled = false;
    const fire = () => {
      if (repeat) cancel = this.schedule(owner, delay, fire);
      if (!cancelled) callback();
    };
    cancel = this.schedule(owner, delay, fire);
    return new Handle(() => {
      cancelled = true;
      cancel();
    });
  }
}
