/**
 * Clocks and chance of the process while a module's function runs a first and a second time: the
 * second sees another time and other numbers, so that what depends on them comes out differently,
 * however coarse it is. What was asked for is noted, to be named.
 */

/** Milliseconds between the two times: no whole number of days, hours or minutes. */
const SHIFT_MS = 12_345_678_901;

/** Which of two runs on equal input. */
export type Run = "first" | "second";

/** See the head of this file. */
export class Surroundings {
  /** What was asked for since `forget`. */
  readonly used = new Set<string>();
  private drawn: number[] = [];
  private undo: (() => void)[] = [];

  /** Begins anew. */
  forget(): void {
    this.used.clear();
    this.drawn = [];
  }

  /** Runs a synchronous function in the surroundings of one of the runs. */
  within<T>(run: Run, work: () => T): T {
    this.replaceAll(run === "first" ? 0 : SHIFT_MS);
    try {
      return work();
    } finally {
      for (const undo of this.undo.splice(0).reverse()) undo();
    }
  }

  private replaceAll(shift: number): void {
    this.replace(globalThis, "Date", (RealDate) => this.dateOf(RealDate, shift));
    this.replace(Math, "random", (random) => this.chanceOf(random, shift !== 0));
    this.replace(globalThis.performance, "now", (now) => () => {
      this.used.add("performance.now()");
      return now.call(globalThis.performance) + shift;
    });
    this.note(globalThis.crypto, "randomUUID", "crypto.randomUUID()");
    this.note(globalThis.crypto, "getRandomValues", "crypto.getRandomValues()");
    this.note(process, "hrtime", "process.hrtime()");
  }

  private dateOf(RealDate: DateConstructor, shift: number): DateConstructor {
    const { used } = this;
    const now = () => {
      used.add("Date.now()");
      return RealDate.now() + shift;
    };
    return new Proxy(RealDate, {
      get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
      construct: (target, values, made) => {
        if (values.length > 0) return Reflect.construct(target, values, made);
        used.add("new Date()");
        return Reflect.construct(target, [RealDate.now() + shift], made);
      },
      apply: () => {
        used.add("Date()");
        return new RealDate(RealDate.now() + shift).toString();
      },
    });
  }

  /** The second run's numbers lie half the range away from the first's, one by one. */
  private chanceOf(random: () => number, again: boolean): () => number {
    const { used, drawn } = this;
    let at = 0;
    return () => {
      used.add("Math.random()");
      const number = random();
      if (!again) drawn.push(number);
      return again ? ((drawn[at++] ?? number) + 0.5) % 1 : number;
    };
  }

  /** Notes that a function is used, which gives something else each time anyway. */
  private note<T extends object, N extends keyof T>(owner: T, name: N, shown: string): void {
    const { used } = this;
    this.replace(owner, name, (original) => {
      if (typeof original !== "function") return original;
      return new Proxy(original, {
        apply: (target, _self, values) => {
          used.add(shown);
          return Reflect.apply(target, owner, values);
        },
        get: (target, part) => {
          used.add(shown);
          return Reflect.get(target, part);
        },
      });
    });
  }

  private replace<T extends object, N extends keyof T>(
    owner: T | undefined,
    name: N,
    change: (original: T[N]) => T[N],
  ): void {
    if (owner === undefined) return;
    const own = Object.getOwnPropertyDescriptor(owner, name);
    const value = change(owner[name]);
    // Where a program has frozen it, it stays as it is: two runs are compared all the same.
    if (!Reflect.defineProperty(owner, name, { value, configurable: true, writable: true })) return;
    this.undo.push(() => {
      if (own === undefined) Reflect.deleteProperty(owner, name);
      else Reflect.defineProperty(owner, name, own);
    });
  }
}
