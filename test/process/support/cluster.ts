/** Clusters of real processes, each running `programs/cluster-node.mjs`. */
import { freeAddresses } from "../../node/support/cluster.ts";
import { eventually } from "../../node/support/waiting.ts";
import { type Running, scratchDirectory, start } from "./programs.ts";

/** Options of a node, as JSON. */
export type ProcessOptions = Readonly<Record<string, unknown>>;

/** What a load counted so far, key by key. */
export interface LoadReport {
  readonly attempted: readonly number[];
  readonly acknowledged: readonly number[];
  readonly unknown: readonly number[];
  readonly highest: readonly number[];
  /** How many calls failed, by code and outcome. */
  readonly errors: Readonly<Record<string, number>>;
  /** The longest time without an acknowledgement, in milliseconds, overall and of one key. */
  readonly longestPause: number;
  readonly longestPauseOfKey: number;
}

/** A call that a node's process refused. */
export class CallFailed extends Error {
  readonly code: string;
  readonly outcome: string | undefined;

  constructor({ code, message, outcome }: { code: string; message: string; outcome?: string }) {
    super(`${code}: ${message}`);
    this.code = code;
    this.outcome = outcome;
  }
}

/** A node in a process of its own. It can be killed and started again. */
export class ProcessNode {
  readonly address: string;
  readonly zone: string;
  readonly directory: string;
  name = "";
  private readonly options: ProcessOptions;
  private running: Running | undefined;
  private nextId = 0;

  constructor(address: string, zone: string, options: ProcessOptions) {
    this.address = address;
    this.zone = zone;
    this.directory = scratchDirectory();
    this.options = options;
  }

  /** Is its process there? */
  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** Starts the process; the node is not active yet. */
  start(): void {
    const options = { dataDir: this.directory, listen: this.address, ...this.options };
    this.running = start("cluster-node.mjs", [JSON.stringify(options)]);
  }

  /** Starts the process and activates the node. */
  async activate(): Promise<void> {
    this.start();
    this.name = await this.call("activate", this.zone);
  }

  /** Calls `fleet.x`, `kv.x`, or one of the program's own functions. */
  async call<T>(name: string, ...args: unknown[]): Promise<T> {
    const { running } = this;
    if (running === undefined) throw new Error("the process is not running");
    const id = this.nextId++;
    const line = running.line((text) => text.startsWith(`{"id":${id},`));
    running.send(JSON.stringify({ id, call: name, args }));
    const { result, error } = JSON.parse(await line);
    if (error !== undefined) throw new CallFailed(error);
    return result as T;
  }

  /** Sends the process a signal. */
  signal(signal: NodeJS.Signals): void {
    this.running?.process.kill(signal);
  }

  /** Kills the process at once; resolves when it is gone. */
  async kill(): Promise<void> {
    const { running } = this;
    this.running = undefined;
    running?.process.kill("SIGKILL");
    await running?.ended;
  }
}

/** Makes nodes of one cluster, not started yet; zones "a", "b", "c" in turn. */
export async function clusterOf(
  count: number,
  options: ProcessOptions = {},
): Promise<ProcessNode[]> {
  const seeds = await freeAddresses(count);
  return seeds.map(
    (address, at) => new ProcessNode(address, "abc"[at % 3] as string, { seeds, ...options }),
  );
}

/** Starts a cluster whose nodes all serve the keyspace "counts". */
export async function startCounting(
  count: number,
  policy: unknown,
  options: ProcessOptions = {},
): Promise<ProcessNode[]> {
  const nodes = await clusterOf(count, options);
  await Promise.all(nodes.map((node) => node.activate()));
  for (const node of nodes) await node.call("open", "counts", policy);
  await spread(nodes, count);
  return nodes;
}

/** Waits until every shard has `Math.min(3, count)` members and a leader. */
export async function spread(nodes: readonly ProcessNode[], count: number): Promise<void> {
  const asked = nodes.find((node) => node.isRunning);
  await eventually("members on all nodes", async () => {
    const shards = await asked?.call<{ members: string[]; leader: string | null }[]>(
      "kv.shards",
      "counts",
    );
    return shards?.every(
      ({ members, leader }) => members.length === Math.min(3, count) && leader !== null,
    );
  });
}

/** Checks counters against what a load saw: nothing acknowledged lost, nothing applied twice. */
export function checkCounts(counts: readonly number[], report: LoadReport): string[] {
  const faults: string[] = [];
  counts.forEach((count, key) => {
    const acknowledged = report.acknowledged[key] as number;
    const most = acknowledged + (report.unknown[key] as number);
    if (count < acknowledged)
      faults.push(`key ${key}: ${acknowledged} acknowledged, ${count} there`);
    if (count > most) faults.push(`key ${key}: at most ${most} called, ${count} there`);
    if (count < (report.highest[key] as number)) faults.push(`key ${key}: went back to ${count}`);
  });
  return faults;
}
