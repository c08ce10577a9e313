/** A module whose functions are looked at while they run: in which surroundings, and what they threw. */
import { isPromise } from "node:util/types";
import type { CommandContext, ValuePerKey } from "../../shard/module.ts";
import { type Run, Surroundings } from "./surroundings.ts";

/** See the head of this file. */
export class ObservedModule implements ValuePerKey {
  readonly surroundings = new Surroundings();
  /** Did the function itself throw, at the last call? */
  threw = false;
  /** What it returned. */
  outcome: unknown = undefined;
  private readonly module: ValuePerKey;
  private readonly queryContext: CommandContext;
  private run: Run = "first";

  /** Queries get the time and the numbers of `context`; commands have their own. */
  constructor(module: ValuePerKey, context: CommandContext) {
    this.module = module;
    this.queryContext = {
      get now() {
        return context.now;
      },
      random: () => context.random(),
    };
  }

  /** The next call is the first of two on equal input. */
  begin(): void {
    this.surroundings.forget();
    this.run = "first";
  }

  command(...input: Parameters<ValuePerKey["command"]>): ReturnType<ValuePerKey["command"]> {
    return this.call(() => this.module.command(...input));
  }

  query(...input: Parameters<ValuePerKey["query"]>): ReturnType<ValuePerKey["query"]> {
    const [value, size, key, argument] = input;
    return this.call(() => this.module.query(value, size, key, argument, this.queryContext));
  }

  private call<T>(work: () => T): T {
    const { run } = this;
    this.run = "second";
    try {
      this.threw = false;
      this.outcome = undefined;
      const outcome = this.surroundings.within(run, work);
      this.outcome = outcome;
      return outcome;
    } catch (thrown) {
      // A thrown promise is no refusal that a module could mean.
      this.threw = !isPromise(thrown);
      throw thrown;
    }
  }
}
