/** What a workload is, what it is given, and how it is run. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Peers } from "./contenders/peers.ts";
import { type Operation, type OtherCpu, runClients } from "./loop.ts";
import { type Figures, type Summary, summaryOf } from "./statistics.ts";

/** How much is measured. */
export interface Extent {
  readonly name: "full" | "quick" | "tiny";
  readonly rounds: number;
  readonly seconds: number;
  readonly clients: readonly number[];
  readonly bytes: readonly number[];
  readonly shards: readonly number[];
  /** Keys of the workload of many keys, and of the shard that is split. */
  readonly manyKeys: number;
  readonly splitKeys: number;
  readonly idleGroups: number;
  readonly failovers: number;
}

export const EXTENTS: Readonly<Record<Extent["name"], Extent>> = {
  full: {
    name: "full",
    rounds: 3,
    seconds: 1,
    clients: [1, 64, 1024, 4096],
    bytes: [5, 100, 1024],
    shards: [1, 4, 16, 64],
    manyKeys: 1_000_000,
    splitKeys: 100_000,
    idleGroups: 1000,
    failovers: 3,
  },
  quick: {
    name: "quick",
    rounds: 2,
    seconds: 0.25,
    clients: [1, 1024],
    bytes: [5],
    shards: [1, 16],
    manyKeys: 100_000,
    splitKeys: 20_000,
    idleGroups: 100,
    failovers: 1,
  },
  tiny: {
    name: "tiny",
    rounds: 2,
    seconds: 0.05,
    clients: [1, 16],
    bytes: [5],
    shards: [1, 2],
    manyKeys: 1000,
    splitKeys: 1000,
    idleGroups: 5,
    failovers: 1,
  },
};

export type Role = "raft-kv" | "ceiling" | "peer";

/** One thing that runs a case: an operation, beside what else it costs in other processes. */
export interface Runner {
  readonly name: string;
  readonly role: Role;
  readonly operation: Operation;
  readonly otherCpu?: OtherCpu;
}

/** What a runner reached in a case. */
export interface Entry {
  readonly name: string;
  readonly role: Role;
  readonly summary: Summary;
}

/** Some runners, interleaved; the first is what the others are compared with. */
export interface Case {
  readonly what: string;
  readonly clients: number;
  readonly bytes: number;
  readonly entries: readonly Entry[];
}

/** A figure that is no rate: one value per round, and which of them counts. */
export interface Measure {
  readonly what: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** What is asked for: at most this. */
  readonly goal?: number;
}

export interface Outcome {
  readonly cases: readonly Case[];
  readonly measures: readonly Measure[];
}

/** What a workload is given. */
export interface Context {
  readonly extent: Extent;
  /** An empty folder of its own. */
  readonly directory: string;
  readonly peers: Peers;
  say(line: string): void;
}

/** A workload of the registry: one small file each. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  run(context: Context): Promise<Outcome>;
}

/** A workload with its outcome, or with why there is none. */
export interface Result {
  readonly workload: string;
  readonly title: string;
  readonly seconds: number;
  readonly outcome: Outcome;
  readonly failure?: string;
}

/** Runs every runner once in each round, one after the other. */
export async function runCase(
  { extent, say }: Context,
  what: Pick<Case, "what" | "clients" | "bytes">,
  runners: readonly Runner[],
): Promise<Case> {
  say(`  ${what.what}, ${what.clients} clients, ${what.bytes} bytes`);
  const rounds: Figures[][] = runners.map(() => []);
  for (let round = 0; round < extent.rounds; round++) {
    for (const [at, { operation, otherCpu }] of runners.entries()) {
      rounds[at]?.push(await runClients(what.clients, extent.seconds, operation, otherCpu));
    }
  }
  const entries = runners.map(({ name, role }, at) => {
    return { name, role, summary: summaryOf(rounds[at] ?? []) };
  });
  return { ...what, entries };
}

/** Runs a workload; one that fails gives a result that says so. */
export async function runWorkload(
  { name, title, run }: Workload,
  context: Context,
): Promise<Result> {
  const directory = join(context.directory, name);
  mkdirSync(directory, { recursive: true });
  context.say(`${name}: ${title}`);
  const start = performance.now();
  const done = (rest: Pick<Result, "outcome" | "failure">): Result => {
    return { workload: name, title, seconds: (performance.now() - start) / 1000, ...rest };
  };
  try {
    return done({ outcome: await run({ ...context, directory }) });
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    context.say(`  failed: ${failure}`);
    return done({ outcome: { cases: [], measures: [] }, failure });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
