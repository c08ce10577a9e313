/** What latencies and rounds come to; pure. Times are milliseconds unless named otherwise. */

/** What one run of the loop showed. */
export interface Figures {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** CPU time of all processes involved per operation, all threads, in microseconds. */
  readonly cpuMicroseconds: number;
}

/** The best of some rounds, and the lowest and highest operations per second of all of them. */
export interface Summary extends Figures {
  readonly spread: readonly [number, number];
}

/** The value below which a share of a sorted sample lies; 0 of an empty sample. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return (
    sorted[Math.max(0, Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1))] ?? 0
  );
}

/** The figures of latencies in any order, of a run that took `elapsed` and used `cpu` microseconds. */
export function figuresOf(sample: Float64Array, elapsed: number, cpu: number): Figures {
  const sorted = sample.slice().sort();
  return {
    operations: sorted.length,
    perSecond: elapsed > 0 ? (sorted.length / elapsed) * 1000 : 0,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    max: quantile(sorted, 1),
    cpuMicroseconds: cpu / Math.max(1, sorted.length),
  };
}

/** The run with the most operations per second, with the spread of all. */
export function summaryOf(rounds: readonly Figures[]): Summary {
  const [first, ...others] = rounds;
  if (first === undefined) throw new Error("nothing was measured");
  const best = others.reduce((a, b) => (b.perSecond > a.perSecond ? b : a), first);
  const rates = rounds.map(({ perSecond }) => perSecond);
  return { ...best, spread: [Math.min(...rates), Math.max(...rates)] };
}

/** How many times `other` the first is, by the best rounds; `null` when `other` did nothing. */
export function ratioOf(own: Summary, other: Summary): number | null {
  return other.perSecond > 0 ? own.perSecond / other.perSecond : null;
}
