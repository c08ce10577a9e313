/**
 * `npm run bench`: durable sets and linearizable gets on one node, beside the ceilings measured in
 * the same run by the same loop, interleaved, best of several rounds; then idle groups, and the
 * longest wait during a split.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskCeiling, mapCeiling } from "./ceilings.ts";
import { measureIdleGroups } from "./idle-groups.ts";
import type { Figures } from "./loop.ts";
import { markdown, type Row } from "./report.ts";
import { measureSplit } from "./split-pause.ts";
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

function best(runs: readonly Figures[]): Figures {
  return runs.reduce((a, b) => (b.perSecond > a.perSecond ? b : a));
}

function row(
  workload: string,
  clients: number,
  bytes: number,
  runs: readonly Figures[],
  ceilingName: string,
  ceiling: readonly Figures[],
): Row {
  const rates = runs.map(({ perSecond }) => perSecond);
  const goal = bytes === 5 ? GOALS[`${workload} ${clients}`] : undefined;
  return {
    workload,
    clients,
    bytes,
    figures: best(runs),
    ceiling: best(ceiling).perSecond,
    ceilingName,
    spread: [Math.min(...rates), Math.max(...rates)],
    ...(goal === undefined ? {} : { goal }),
  };
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

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-bench-"));
  const rows: Row[] = [];
  try {
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
    const json = JSON.stringify({ rows, idle: idle.figures, split: split.figures }, null, 2);
    const target = process.env.RAFT_KV_BENCH_JSON;
    if (target !== undefined) writeFileSync(target, json);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
