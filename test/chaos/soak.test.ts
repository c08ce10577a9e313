/**
 * A cluster that works for long, with shards that split and merge, snapshots and processes that are
 * killed: what each node uses of memory, disk and file handles does not grow.
 *
 * Keys and their values stay the same in number and size, so after a warm-up every figure swings
 * around a level. A run of ten minutes or more is judged by its slopes; a shorter one, as in the
 * gate, by what is lost or doubled and by limits that a leak of every round would break.
 *
 * `npm run soak -- --minutes 60` prints a line for each minute, and a table at the end.
 */
import { expect, it } from "vitest";
import { seeded } from "../node/support/random.ts";
import { sleep } from "../node/support/waiting.ts";
import {
  checkCounts,
  goesOn,
  type LoadReport,
  type ProcessNode,
  spread,
  startCaller,
  startCounting,
} from "../process/support/cluster.ts";
import { extent, FIGURES, type Figures, measure, type Sample, slope } from "./support/figures.ts";

const MINUTES = Number(process.env.RAFT_KV_SOAK_MINUTES ?? 0.4);
const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
/** Shorter runs are not judged by slopes: they would tell of the warm-up alone. */
const JUDGED_MINUTES_MIN = 10;
/** The part of a run that is left out: the heap, caches and logs reach their size in it. */
const WARM_UP = 0.5;
/** How much a figure may grow in a minute, and how large it may become. */
const LIMITS: Readonly<Record<keyof Figures, { readonly slope: number; readonly most: number }>> = {
  memory: { slope: 4, most: 700 },
  disk: { slope: 8, most: 600 },
  handles: { slope: 0.5, most: 200 },
};
const UNITS = { memory: "MiB", disk: "MiB", handles: "handles" } as const;
const KEYS = 200;
const MANY = { maxShards: 8, maxKeysPerShard: 40 };
const FEW = { maxShards: 8, maxKeysPerShard: 1_000_000 };
/** About 1 MiB of log a second: each shard is snapshot again and again. */
const LOAD = { keyspace: "counts", clients: 16, keys: KEYS, ballast: 4_000, pause: 25 };
const QUICK = {
  statsCollectionInterval: 100,
  workflowExecutionInterval: 50,
  shardIneligiblePeriodAfterSplitOrMerge: 100,
};
const SAMPLE_MS = 2_000;
/** How long the shards stay as they are, and how often a process is killed, in milliseconds. */
const TURN_MS = 4_000;
const KILL_EVERY_TURNS = 10;
/** The other nodes live throughout: of them memory and handles are judged. */
const KILLED_NODES = 2;
const KILLED = Array.from({ length: KILLED_NODES }, (_, at) => `node ${at}`);

/** What a node says of its memory itself. */
interface Memory {
  readonly heapUsed: number;
  readonly journalCachedBytes: number;
  readonly groups: number;
}

type Samples = Map<string, Record<keyof Figures, Sample[]>>;

it(
  `stays as large as it is for ${MINUTES} minutes, seed ${SEED}`,
  async () => {
    console.log(`repeat with: npm run soak -- --minutes ${MINUTES} --seed ${SEED}`);
    const nodes = await startCounting(3, FEW, QUICK);
    const caller = await startCaller(nodes, QUICK);
    await caller.call("load", LOAD);
    await goesOn(caller, 100);
    const soak = new Soak(nodes, caller);
    await soak.run();
    const report = await caller.call<LoadReport>("stopLoad");
    for (const node of nodes) {
      const counts = await node.call<number[]>("counts", "counts", KEYS);
      expect(checkCounts(counts, report)).toEqual([]);
    }
    const { text, faults } = judged(soak.samples);
    console.log(text);
    expect(faults).toEqual([]);
  },
  MINUTES * 60_000 * 1.5 + 240_000,
);

class Soak {
  readonly samples: Samples = new Map();
  private readonly nodes: readonly ProcessNode[];
  private readonly caller: ProcessNode;
  private readonly start = performance.now();
  private readonly random = seeded(SEED);
  private kills = 0;
  private said = 0;

  constructor(nodes: readonly ProcessNode[], caller: ProcessNode) {
    this.nodes = nodes;
    this.caller = caller;
  }

  async run(): Promise<void> {
    for (let turn = 0; this.minute() < MINUTES; turn++) {
      await this.caller.call("kv.setKeyspacePolicy", "counts", turn % 2 === 0 ? MANY : FEW);
      if (turn % KILL_EVERY_TURNS === KILL_EVERY_TURNS - 1) await this.kill();
      const end = performance.now() + TURN_MS;
      while (performance.now() < end) {
        this.sample();
        await this.say();
        await sleep(SAMPLE_MS);
      }
      await goesOn(this.caller, 10);
    }
  }

  private minute(): number {
    return (performance.now() - this.start) / 60_000;
  }

  /** One of the first nodes is killed, and comes back. */
  private async kill(): Promise<void> {
    const victim = this.nodes[Math.floor(this.random() * KILLED_NODES)] as ProcessNode;
    await victim.kill();
    this.kills++;
    await goesOn(this.caller, 20);
    await victim.activate();
    await victim.call("open", "counts", FEW);
    await spread(this.nodes, this.nodes.length);
  }

  private sample(): void {
    const minute = this.minute();
    for (const [at, node] of [...this.nodes, this.caller].entries()) {
      const { processId, directory } = node;
      if (processId === undefined) continue;
      const name = node === this.caller ? "caller" : `node ${at}`;
      const figures = measure(processId, directory);
      const all = this.samples.get(name) ?? { memory: [], disk: [], handles: [] };
      this.samples.set(name, all);
      for (const figure of FIGURES) all[figure].push({ minute, value: figures[figure] });
    }
  }

  private async say(): Promise<void> {
    if (this.minute() < this.said) return;
    this.said++;
    const { acknowledged, errors } = await this.caller.call<LoadReport>("progress");
    const shards = await this.caller.call<unknown[]>("kv.shards", "counts");
    const done = acknowledged.reduce((sum, count) => sum + count, 0);
    const sizes = [...this.samples].map(([name, all]) => {
      const [memory, disk, handles] = FIGURES.map((figure) => all[figure].at(-1)?.value ?? 0);
      return `${name} ${memory?.toFixed(0)}/${disk?.toFixed(0)} MiB ${handles} handles`;
    });
    const { heapUsed, journalCachedBytes, groups } = await this.caller.call<Memory>("memory");
    const [heap, cached] = [heapUsed, journalCachedBytes].map((bytes) => bytes / 2 ** 20);
    sizes.push(`of it ${heap?.toFixed(0)} heap, ${cached?.toFixed(0)} log, ${groups} groups`);
    const minute = `${this.minute().toFixed(0)} min`.padStart(7);
    const work = `${done} commands, ${shards.length} shards, ${this.kills} kills`;
    console.log(`${minute}  ${work}; ${sizes.join(", ")} ${JSON.stringify(errors)}`);
  }
}

/** The table of all figures, and which of them are not flat. */
function judged(samples: Samples): { readonly text: string; readonly faults: string[] } {
  const rows: string[] = [];
  const faults: string[] = [];
  for (const [name, all] of samples) {
    for (const figure of FIGURES) {
      const late = all[figure].filter(({ minute }) => minute >= MINUTES * WARM_UP);
      const { most, mean } = extent(late);
      const growth = slope(late);
      const limit = LIMITS[figure];
      const isAnew = figure !== "disk" && KILLED.includes(name);
      const isSteep = MINUTES >= JUDGED_MINUTES_MIN && growth > limit.slope && !isAnew;
      if (isSteep) faults.push(`${figure} of ${name} grows by ${growth.toFixed(2)} a minute`);
      if (most > limit.most) faults.push(`${figure} of ${name} came to ${most.toFixed(0)}`);
      const cells = [mean, most].map((value) => value.toFixed(0).padStart(9));
      const growths = [growth, limit.slope].map((value) => value.toFixed(2).padStart(9));
      rows.push([name.padEnd(8), figure.padEnd(8), ...cells, ...growths, UNITS[figure]].join(" "));
    }
  }
  const heads = ["mean", "most", "a minute", "allowed"].map((head) => head.padStart(9));
  const head = ["node".padEnd(8), "figure".padEnd(8), ...heads].join(" ");
  return { text: [head, ...rows].join("\n"), faults };
}
