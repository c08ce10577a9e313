/**
 * Durable sets and linearizable gets on three processes of one machine, beside one node that runs
 * the same workload in the same run; the clients are in this process. The other two processes need
 * the same cores, so ratios say what replication costs here, not what three machines would do.
 */
import { join } from "node:path";
import { type Cluster, startCluster } from "./cluster.ts";
import { type FailoverFigures, failoverText, measureFailover } from "./failover.ts";
import type { Figures } from "./loop.ts";
import { type Row, rowOf } from "./report.ts";
import { openStore, runGets, runSets, type Store, valuesOf } from "./workloads.ts";

/** Sets per second that are asked for, by number of clients, where the clients are at the leader. */
const RATES: Record<number, number> = { 64: 25_000, 1024: 100_000 };
const WARM_UP_SECONDS = 0.5;

/** How much is measured. */
export interface Extent {
  readonly rounds: number;
  readonly seconds: number;
  readonly sizes: readonly number[];
  readonly clientCounts: readonly number[];
  readonly failovers: number;
}

type Runs = Record<"one" | "here" | "elsewhere", Figures[]>;

async function measureCell(
  stores: Record<keyof Runs, Store>,
  { rounds, seconds }: Extent,
  clients: number,
  bytes: number,
): Promise<Row[]> {
  const values = valuesOf(bytes);
  const sets: Runs = { one: [], here: [], elsewhere: [] };
  const gets: Runs = { one: [], here: [], elsewhere: [] };
  const places = ["one", "here", "elsewhere"] as const;
  for (let round = 0; round < rounds; round++) {
    for (const place of places) {
      sets[place].push(await runSets(stores[place], clients, seconds, values));
    }
    for (const place of places) gets[place].push(await runGets(stores[place], clients, seconds));
  }
  const goalRate = RATES[clients];
  const row = (workload: string, runs: Figures[], one: Figures[]) =>
    rowOf({ workload, clients, bytes }, runs, "one node", one);
  return [
    { ...row("set at leader", sets.here, sets.one), ...(goalRate && { goalRate }) },
    row("set elsewhere", sets.elsewhere, sets.one),
    row("get at leader", gets.here, gets.one),
    row("get elsewhere", gets.elsewhere, gets.one),
  ];
}

/** Measures the cluster; `say` tells how far it is. */
export async function measureThreeProcesses(
  directory: string,
  extent: Extent,
  say: (line: string) => void,
) {
  say("three processes: starting ...");
  const alone = await openStore(join(directory, "alone"));
  const cluster = await startCluster(join(directory, "three"));
  const rows: Row[] = [];
  try {
    const { ledHere, ledElsewhere } = cluster;
    const stores = { one: alone, here: ledHere, elsewhere: ledElsewhere };
    for (const store of Object.values(stores)) {
      await runSets(store, 1024, WARM_UP_SECONDS, valuesOf(5));
    }
    for (const bytes of extent.sizes) {
      for (const clients of extent.clientCounts) {
        say(`three processes: measuring ${clients} clients, ${bytes} bytes ...`);
        rows.push(...(await measureCell(stores, extent, clients, bytes)));
      }
    }
    const failovers = await failoverRounds(cluster, extent.failovers, say);
    return { figures: { rows, failovers }, text: failoverText(failovers) };
  } finally {
    await alone.node.close();
    await cluster.close();
  }
}

async function failoverRounds(cluster: Cluster, count: number, say: (line: string) => void) {
  const rounds: FailoverFigures[] = [];
  for (let round = 0; round < count; round++) {
    say(`three processes: a leader dies, comes back, leaves (${round + 1} of ${count}) ...`);
    rounds.push(await measureFailover(cluster));
  }
  return rounds;
}
