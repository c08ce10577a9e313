/**
 * One loop for everything that is measured: a number of clients, each awaiting its operation before
 * the next, every latency recorded. Ceilings and raft-kv run in the same loop, so ratios are fair.
 */

/** What one run of the loop showed. Times are milliseconds. */
export interface Figures {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** CPU time of this process per operation, both languages and all threads, in microseconds. */
  readonly cpuMicroseconds: number;
}

/** An operation; `turn` counts up over all clients. */
export type Operation = (turn: number) => Promise<unknown>;

const LATENCIES_MAX = 8 * 1024 * 1024;
const latencies = new Float64Array(LATENCIES_MAX);

/** Runs `clients` loops over `operation` for about `seconds`. */
export async function runClients(
  clients: number,
  seconds: number,
  operation: Operation,
): Promise<Figures> {
  let turn = 0;
  let recorded = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + seconds * 1000;
  // Promises that are settled at once never let a timer run, so each client looks at the clock that
  // it reads for its latency anyway.
  const client = async () => {
    let before = performance.now();
    while (before < end && recorded < LATENCIES_MAX) {
      await operation(turn++);
      const after = performance.now();
      latencies[recorded++] = after - before;
      before = after;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const elapsed = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return figures(latencies.subarray(0, Math.min(recorded, LATENCIES_MAX)), elapsed, user + system);
}

function figures(sample: Float64Array, elapsed: number, cpu: number): Figures {
  const sorted = sample.slice().sort();
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, (sorted.length * share) | 0)] ?? 0;
  return {
    operations: sorted.length,
    perSecond: (sorted.length / elapsed) * 1000,
    p50: at(0.5),
    p99: at(0.99),
    max: sorted[sorted.length - 1] ?? 0,
    cpuMicroseconds: cpu / Math.max(1, sorted.length),
  };
}
