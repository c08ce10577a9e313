/**
 * One loop for everything that is measured: a number of clients, each awaiting its operation before
 * the next, every latency recorded. Ceilings, peers and raft-kv run in the same loop.
 */
import { type Figures, figuresOf } from "./statistics.ts";

/** An operation; `turn` counts up over all clients. */
export type Operation = (turn: number) => Promise<unknown>;

/** CPU time that other processes have used so far, in microseconds. */
export type OtherCpu = () => Promise<number>;

const LATENCIES_MAX = 8 * 1024 * 1024;
let latencies: Float64Array | undefined;

const noOther: OtherCpu = async () => 0;

/** Runs `clients` loops over `operation` for about `seconds`. */
export async function runClients(
  clients: number,
  seconds: number,
  operation: Operation,
  otherCpu: OtherCpu = noOther,
): Promise<Figures> {
  latencies ??= new Float64Array(LATENCIES_MAX);
  const sample = latencies;
  let turn = 0;
  let recorded = 0;
  const other = await otherCpu();
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
      sample[recorded++] = after - before;
      before = after;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const elapsed = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const all = user + system + (await otherCpu()) - other;
  return figuresOf(sample.subarray(0, Math.min(recorded, LATENCIES_MAX)), elapsed, all);
}
