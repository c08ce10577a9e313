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

  constructor(
    call: string,
    { code, message, outcome }: { code: string; message: string; outcome?: string },
  ) {
    super(`${call}: ${code}: ${message}`);
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
  protected running: Running | undefined;
  private nextId = 0;

  constructor(
    address: string,
    zone: string,
    options: ProcessOptions,
    directory = scratchDirectory(),
  ) {
    this.address = address;
    this.zone = zone;
    this.directory = directory;
    this.options = options;
  }

  /** Is its process there? */
  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** The process, if it is there. */
  get processId(): number | undefined {
    return this.running?.process.pid;
  }

  /** Starts the process; the node is not active yet. */
  start(): void {
    const options = { dataDir: this.directory, listen: this.address, ...this.options };
    this.running = this.launch(JSON.stringify(options));
    if (process.env.RAFT_KV_TEST_LOG === undefined) return;
    this.running.process.stderr?.on("data", (text: string) => {
      for (const line of text.split("\n")) console.error(Date.now() % 1e6, this.zone, line);
    });
  }

  protected launch(options: string): Running {
    return start("cluster-node.mjs", [options]);
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
    if (error !== undefined) throw new CallFailed(`${name} in zone ${this.zone}`, error);
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

/** Starts one more node, which serves no keyspace: it calls those of the others. */
export async function startCaller(
  nodes: readonly ProcessNode[],
  options: ProcessOptions = {},
): Promise<ProcessNode> {
  const [address] = await freeAddresses(1);
  const seeds = nodes.map((node) => node.address);
  const caller = new ProcessNode(address as string, "callers", { seeds, ...options });
  await caller.activate();
  await spread(nodes, nodes.length);
  return caller;
}

/** Waits until a load has had so many more acknowledgements. */
export async function goesOn(caller: ProcessNode, more: number): Promise<void> {
  const done = async () => {
    const { acknowledged } = await caller.call<LoadReport>("progress");
    return acknowledged.reduce((sum, count) => sum + count, 0);
  };
  const before = await done();
  try {
    await eventually(`${more} more acknowledgements`, async () => (await done()) >= before + more);
  } catch (error) {
    const { errors } = await caller.call<LoadReport>("progress");
    const groups = await caller.call("groups");
    throw new Error(`${error}: ${JSON.stringify({ errors, groups })}`);
  }
}

/** The node whose process leads a group, as that process says itself. */
export function leaderOf(nodes: readonly ProcessNode[], group: string): Promise<ProcessNode> {
  return eventually(`a leader of ${group}`, async () => {
    for (const node of nodes.filter(({ isRunning }) => isRunning)) {
      const groups = await node.call<GroupStanding[]>("groups");
      if (groups.some(({ name, role }) => name === group && role === "leader")) return node;
    }
    return undefined;
  });
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

/** A group as a node's process knows it. `voters` and `leader` are what its engine says. */
export interface GroupStanding {
  readonly id: number;
  readonly name: string;
  readonly system: boolean;
  readonly members: readonly number[];
  readonly learners: readonly number[];
  readonly leaving: readonly number[];
  readonly isConfirmed: boolean;
  readonly role?: "leader" | "follower" | "learner";
  readonly leader?: number;
  readonly voters?: readonly number[];
}

/**
 * Waits until every group, the fleet's own included, has `Math.min(3, count)` voters in fact and
 * not only as a target, and a leader. Before, a group may have two, of which neither may be lost.
 */
export async function spread(nodes: readonly ProcessNode[], count: number): Promise<void> {
  const running = nodes.filter(({ isRunning }) => isRunning);
  const [asked] = running;
  const wanted = Math.min(3, count);
  let groups: readonly GroupStanding[] = [];
  const isSpread = ({ isConfirmed, members, leader }: GroupStanding) =>
    isConfirmed && members.length >= wanted && leader !== 0;
  try {
    await eventually("members on all nodes", async () => {
      groups = (await asked?.call<GroupStanding[]>("groups")) ?? [];
      return groups.length > 0 && groups.every(isSpread);
    });
  } catch (error) {
    const all = await Promise.all(running.map((node) => node.call<GroupStanding[]>("groups")));
    const wrong = groups.filter((group) => !isSpread(group)).map(({ id }) => id);
    const seen = all.map((own) => own.filter(({ id }) => wrong.includes(id)));
    throw new Error(`${error}: ${seen.map((own) => `\n${JSON.stringify(own)}`)}`);
  }
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
