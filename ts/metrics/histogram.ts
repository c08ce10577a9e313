/** Counts durations by how long they were, as Prometheus' histograms do. */

/** Seconds up to which a command counts, bucket by bucket. */
export const COMMAND_BUCKETS: readonly number[] = [
  ...[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05],
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10],
];

/** Seconds up to which a query counts: most are answered from memory. */
export const QUERY_BUCKETS: readonly number[] = [
  ...[1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 1e-4, 5e-4],
  ...[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
];

/** See the head of this file. */
export class Histogram {
  readonly buckets: readonly number[];
  /** How many were in each bucket alone; the last count is of those above all buckets. */
  readonly counts: Float64Array;
  count = 0;
  /** Seconds of all together. */
  sum = 0;

  constructor(buckets: readonly number[]) {
    this.buckets = buckets;
    this.counts = new Float64Array(buckets.length + 1);
  }

  /** Counts a duration in milliseconds. */
  observe(milliseconds: number): void {
    const seconds = milliseconds / 1000;
    let at = 0;
    while (at < this.buckets.length && seconds > (this.buckets[at] as number)) at++;
    this.counts[at] = (this.counts[at] as number) + 1;
    this.count++;
    this.sum += seconds;
  }
}
