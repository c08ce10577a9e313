/**
 * What this node counts of its callers' commands. Counting must not slow them: durations are taken
 * of the first command of each tick only, everything else is counted where something went wrong.
 */
import { COMMAND_BUCKETS, Histogram } from "./histogram.ts";

/** Why a command was sent again. */
export type RetryReason = "no_leader" | "no_answer" | "moved" | "shard_transition";

type Resolve = (value: unknown) => void;

/** See the head of this file. */
export class CallMetrics {
  /** Durations of commands by route, those that succeeded and those that failed. */
  readonly durations = new Map<number, { readonly ok: Histogram; readonly error: Histogram }>();
  readonly retries: Record<RetryReason, number> = {
    no_leader: 0,
    no_answer: 0,
    moved: 0,
    shard_transition: 0,
  };
  readonly failures = new Map<string, number>();

  /** A command was sent again, or is about to be; counted in its trace as well, if it has one. */
  retried(reason: RetryReason, trace?: { attempts: number }): void {
    this.retries[reason]++;
    if (trace !== undefined) trace.attempts++;
  }

  /** A command failed with an error of this code. */
  failed(code: string): void {
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }

  /** The resolver of a command whose duration is taken, from now on. */
  timed(resolve: Resolve, route: number): Resolve {
    const start = performance.now();
    return (value) => {
      const durations = this.durations.get(route) ?? this.begin(route);
      // A promise is a rejected one: values are never promises.
      durations[value instanceof Promise ? "error" : "ok"].observe(performance.now() - start);
      resolve(value);
    };
  }

  private begin(route: number) {
    const made = { ok: new Histogram(COMMAND_BUCKETS), error: new Histogram(COMMAND_BUCKETS) };
    this.durations.set(route, made);
    return made;
  }
}
