/** Rates and latencies of the last seconds, from counters that only count up. Pure. */
import { DASHBOARD_RATE_SECONDS } from "../limits.ts";
import type { Latency, Rates } from "./types.ts";

/** Counts of a histogram by bucket; the last one counts what is above all buckets. */
export interface Counted {
  readonly buckets: readonly number[];
  readonly counts: readonly number[];
}

/** The node's counters at one moment. */
export interface Counters {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly commands: number;
  readonly queries: number;
  readonly inFlight: number;
  readonly command: Counted;
  readonly query: Counted;
}

const NONE: Latency = { median: null, p99: null };

/** See the head of this file. */
export class RecentRates {
  private readonly kept: Counters[] = [];

  /** Takes in the counters of one more second. */
  add(counters: Counters): void {
    this.kept.push(counters);
    if (this.kept.length > DASHBOARD_RATE_SECONDS + 1) this.kept.shift();
  }

  /** What happened between the oldest and the newest that is kept; nothing while there is one. */
  get(): Rates {
    const last = this.kept.at(-1);
    const first = this.kept[0];
    const inFlight = last?.inFlight ?? 0;
    if (last === undefined || first === undefined || last.at <= first.at) {
      return { commandsPerSecond: 0, queriesPerSecond: 0, inFlight, command: NONE, query: NONE };
    }
    const seconds = (last.at - first.at) / 1000;
    const rate = (from: number, to: number) => Math.max(0, to - from) / seconds;
    return {
      commandsPerSecond: rate(first.commands, last.commands),
      queriesPerSecond: rate(first.queries, last.queries),
      inFlight,
      command: latency(first.command, last.command),
      query: latency(first.query, last.query),
    };
  }
}

function latency(from: Counted, to: Counted): Latency {
  const counts = to.counts.map((count, at) => Math.max(0, count - (from.counts[at] ?? 0)));
  return { median: quantile(to.buckets, counts, 0.5), p99: quantile(to.buckets, counts, 0.99) };
}

/** The upper end of the bucket in which the quantile is. */
function quantile(
  buckets: readonly number[],
  counts: readonly number[],
  part: number,
): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let below = 0;
  for (const [at, count] of counts.entries()) {
    below += count;
    if (below >= total * part) return buckets[at] ?? buckets.at(-1) ?? null;
  }
  return null;
}
