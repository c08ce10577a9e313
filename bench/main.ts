/**
 * `npm run bench`: durable sets and linearizable gets on one node, beside the ceilings measured in
 * the same run by the same loop, interleaved, best of several rounds; then idle groups, and the
 * longest wait during a split; then three processes beside one node. `--one-node` and
 * `--three-processes` measure one half only.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskCeiling, mapCeiling } from "./ceilings.ts";
import { measureIdleGroups } from "./idle-groups.ts";
import type { Figures } from "./loop.ts";
import { markdown, type Row, rowOf } from "./report.ts";
import { measureSplit } from "./split-pause.ts";
import { measureThreeProcesses } from "./three-processes.ts";
import { openStore, runGets, runSets, type Store, valuesOf } from "./workloads.ts";

const quick = process.argv.includes("--quick");
const rounds = quick ? 2 : 3;
const seconds = quick ? 0.6 : 1.5;
const sizes = quick ? [5] : [5, 100, 1024];
const clientCounts = [1, 64, 1024];

/** Ratios asked for, by workload and clients, for 5-byte values. */
const GOALS: Record<string, number> = { "get 1024": 0.4, "set 1024": 0.15, "set 1": 0.6 };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function row(
  workload: string,
  clients: number,
  bytes: number,
  runs: readonly Figures[],
  ceilingName: string,
  ceiling: readonly Figures[],
): Row {
  const goal = bytes === 5 ? GOALS[`${workload} ${clients}`] : undefined;
  const what = { workload, clients, bytes };
  return { ...rowOf(what, runs, ceilingName, ceiling), ...(goal === undefined ? {} : { goal }) };
}

async function measureCell(store: Store, directory: string, clients: number, bytes: number) {
  const values = valuesOf(bytes);
  const sets: Figures[] = [];
  const gets: Figures[] = [];
  const setCeiling: Figures[] = [];
  const getCeiling: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    const map = mapCeiling(clients, seconds, values);
    setCeiling.push(
      clients === 1 ? await diskCeiling(directory, bytes + 32, seconds) : await map.set(),
    );
    sets.push(await runSets(store, clients, seconds, values));
    await map.set();
    getCeiling.push(await map.get());
    gets.push(await runGets(store, clients, seconds));
  }
  const setCeilingName = clients === 1 ? "fdatasync" : "Map";
  return [
    row("set", clients, bytes, sets, setCeilingName, setCeiling),
    row("get", clients, bytes, gets, "Map", getCeiling),
  ];
}

async function measureOneNode(directory: string) {
  const rows: Row[] = [];
  const store = await openStore(join(directory, "store"));
  for (const bytes of sizes) {
    for (const clients of clientCounts) {
      say(`measuring ${clients} clients, ${bytes} bytes ...`);
      rows.push(...(await measureCell(store, directory, clients, bytes)));
    }
  }
  await store.node.close();
  say(`\n${markdown(rows)}\n`);
  const idle = await measureIdleGroups(directory, quick ? 200 : 1000);
  say(idle.text);
  const split = await measureSplit(join(directory, "split"), quick ? 20_000 : 100_000);
  say(split.text);
  return { rows, idle: idle.figures, split: split.figures };
}

async function measureCluster(directory: string) {
  const extent = {
    rounds,
    seconds: quick ? 0.6 : 1,
    sizes: quick ? [5] : [5, 100],
    clientCounts,
    failovers: quick ? 1 : 3,
  };
  const { figures, text } = await measureThreeProcesses(directory, extent, say);
  say(`\n${markdown(figures.rows)}\n`);
  say(text);
  return { threeProcesses: figures };
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-bench-"));
  try {
    const figures = {
      ...(process.argv.includes("--three-processes") ? {} : await measureOneNode(directory)),
      ...(process.argv.includes("--one-node") ? {} : await measureCluster(directory)),
    };
    const target = process.env.RAFT_KV_BENCH_JSON;
    if (target !== undefined) writeFileSync(target, JSON.stringify(figures, null, 2));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
