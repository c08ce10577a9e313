/**
 * One run under chaos: nodes in processes of their own with clients in each, faults one after
 * another and two at a time, and in the end a verdict over everything that the clients saw.
 */
import { seeded } from "../node/support/random.ts";
import { eventually, sleep } from "../node/support/waiting.ts";
import { spread } from "../process/support/cluster.ts";
import { type Begun, FAULTS, type Fault, type Scene, soon, standing } from "./nemesis.ts";
import { ChaosNode } from "./support/chaos-node.ts";
import { judgeAll, readHistories } from "./support/histories.ts";
import { Surroundings } from "./support/surroundings.ts";

/** How a run is asked for. */
export interface Settings {
  readonly seed: number;
  readonly seconds: number;
  /** Nodes that serve; one more only calls. */
  readonly nodes: number;
  /** The faults that are done; all that are possible by default. */
  readonly only?: readonly string[] | undefined;
  say(line: string): void;
}

const KEYS = { registers: 16, counters: 8, keyspaces: ["moving", "still"] };
const FEW_KEYS_PER_SHARD = 6;
const WORK = { ...KEYS, clients: 5, pause: 25, ballast: 1_000 };
const CALL_OPTIONS = { timeout: 300, retry: 2, retryInterval: 200 };
const PATIENT = { timeout: 1_000, retry: 30, retryInterval: 200 };
const OPTIONS = {
  heartbeatInterval: 100,
  electionTimeout: 500,
  statsCollectionInterval: 100,
  workflowExecutionInterval: 50,
  shardIneligiblePeriodAfterSplitOrMerge: 100,
};
/** How long a fault lasts, in milliseconds. */
const LASTS = { least: 300, most: 3_000 };
/** How long a cluster whose faults are over may take to go on, in milliseconds. */
const RECOVERY_MS_MAX = 60_000;
const TWO_AT_ONCE = 0.35;

/** Runs it; resolves to what was wrong, nothing if all is well. */
export async function runChaos(settings: Settings): Promise<readonly string[]> {
  const { seed, nodes, say } = settings;
  const surroundings = await Surroundings.make(nodes + 1, String(seed));
  for (const skipped of surroundings.skipped) say(`skipped: ${skipped}`);
  const run = new Run(settings, surroundings);
  underWay.add(run);
  const faults = await run.all();
  if (faults.length === 0) await end(run, false);
  return faults;
}

const underWay = new Set<Run>();

/** Ends what did not come to its end, or not to a good one; its histories stay. */
export async function endRuns(): Promise<void> {
  for (const run of underWay) await end(run, true);
}

async function end(run: Run, keep: boolean): Promise<void> {
  underWay.delete(run);
  await Promise.all(run.nodes.map((node) => node.kill()));
  run.surroundings.remove(keep);
  if (keep) console.log(`histories and logs are in ${run.surroundings.directory}`);
}

class Run implements Scene {
  readonly nodes: readonly ChaosNode[];
  readonly surroundings: Surroundings;
  readonly random: () => number;
  private readonly settings: Settings;
  private isSplitting = false;
  /** Replicas went to other nodes, so that stale queries of a node were answered by several. */
  private haveReplicasMoved = false;

  constructor(settings: Settings, surroundings: Surroundings) {
    this.settings = settings;
    this.surroundings = surroundings;
    this.random = seeded(settings.seed);
    const { habitats } = surroundings;
    const seeds = habitats.slice(0, settings.nodes).map(({ address }) => address);
    this.nodes = habitats.map((habitat, at) => {
      const zone = at < settings.nodes ? ("abc"[at % 3] as string) : "callers";
      return new ChaosNode(at, zone, habitat, { seeds, ...OPTIONS });
    });
  }

  async all(): Promise<readonly string[]> {
    await Promise.all(this.serving().map((node) => node.activate()));
    for (const node of this.nodes) await this.begin(node);
    await spread(this.nodes, this.settings.nodes);
    this.settings.say(`${this.nodes.length} nodes are up`);
    await this.storm();
    const unread = await this.calm();
    return [...unread, ...this.nodes.flatMap(({ faults }) => faults), ...this.judge()];
  }

  async restart(node: ChaosNode): Promise<void> {
    const end = performance.now() + RECOVERY_MS_MAX;
    for (;;) {
      await node.kill();
      try {
        await this.begin(node);
        return;
      } catch (error) {
        // While others are gone it may find nobody to go back to; its process has to live, though.
        if (performance.now() < end && node.faults.length === 0) continue;
        throw new Error(`node ${node.index} cannot come back: ${error}${await standing(this)}`);
      }
    }
  }

  async setSplitting(isSplitting: boolean): Promise<void> {
    this.isSplitting = isSplitting;
    const [policy] = this.policies();
    const calls = this.nodes
      .filter(({ isRunning }) => isRunning)
      .map((node) => node.call("kv.setKeyspacePolicy", ...(policy as [string, unknown])));
    // One of them is enough, and a node that stands still answers nothing.
    await soon(Promise.any(calls).catch(() => undefined));
  }

  private serving(): readonly ChaosNode[] {
    return this.nodes.slice(0, this.settings.nodes);
  }

  private policies(): readonly (readonly [string, unknown])[] {
    const maxKeysPerShard = this.isSplitting ? FEW_KEYS_PER_SHARD : 1_000_000;
    return [
      ["moving", { maxShards: 16, maxKeysPerShard }],
      ["still", { maxShards: 1 }],
    ];
  }

  /** Lets a node begin, or begin again, with its clients at work. */
  private async begin(node: ChaosNode): Promise<void> {
    const isServing = node.index < this.settings.nodes;
    if (!node.isRunning) await node.activate();
    if (isServing) await node.call("open", this.policies());
    await node.call("work", { ...WORK, callOptions: CALL_OPTIONS });
  }

  /** One round of faults after another, each kind before any comes again. */
  private async storm(): Promise<void> {
    const { seconds, only, say } = this.settings;
    const wanted = FAULTS.filter(({ name }) => only?.includes(name) ?? true);
    const possible = wanted.filter((fault) => {
      const why = fault.missing?.(this);
      if (why !== undefined) say(`skipped: ${fault.name}: ${why}`);
      return why === undefined;
    });
    const start = performance.now();
    let left: Fault[] = [];
    while (performance.now() - start < seconds * 1000) {
      if (left.length === 0) left = this.shuffled(possible);
      const first = left.pop() as Fault;
      const second = left.at(-1);
      const isPair =
        this.random() < TWO_AT_ONCE && !first.isAlone && second !== undefined && !second.isAlone;
      const faults = [first, ...(isPair ? [left.pop() as Fault] : [])];
      const whats = await this.suffer(faults);
      const at = ((performance.now() - start) / 1000).toFixed(0);
      say(`${at.padStart(4)} s  ${whats.join("; ")}`);
      const wrong = this.nodes.flatMap((node) => node.faults);
      if (wrong.length > 0) throw new Error(wrong.join("\n"));
    }
  }

  private async suffer(faults: readonly Fault[]): Promise<string[]> {
    const begun: Begun[] = [];
    if (faults.some(({ movesReplicas }) => movesReplicas)) this.haveReplicasMoved = true;
    for (const fault of faults) begun.push(await fault.begin(this));
    await sleep(LASTS.least + this.random() * (LASTS.most - LASTS.least));
    for (const fault of begun) await fault.end();
    await this.goesOn(begun.map(({ what }) => what).join("; "));
    return begun.map(({ what }) => what);
  }

  /** Waits until every node reads every kind of key. */
  private async goesOn(after: string): Promise<void> {
    const probe = { registers: 2, counters: 1, keyspaces: KEYS.keyspaces };
    for (const node of this.nodes) {
      let unread: readonly string[] = [];
      const reads = async () => {
        unread = await node.call<string[]>("sweep", probe, CALL_OPTIONS);
        return unread.length === 0;
      };
      const what = `node ${node.index} answers after: ${after}`;
      await eventually(what, reads, RECOVERY_MS_MAX).catch(async (error: Error) => {
        throw new Error([error.message, ...unread, await standing(this)].join("\n"));
      });
    }
  }

  /** Stops all clients, and reads every key at every node. */
  private async calm(): Promise<string[]> {
    for (const node of this.nodes) await node.call("stopWork");
    await spread(this.nodes, this.settings.nodes);
    const unread: string[] = [];
    for (const node of this.nodes) {
      const failures = await node.call<string[]>("sweep", KEYS, PATIENT);
      unread.push(
        ...failures.map((text) => `in the end node ${node.index} could not read ${text}`),
      );
    }
    return unread;
  }

  private judge(): readonly string[] {
    const { habitats, directory } = this.surroundings;
    const histories = readHistories(habitats.map(({ history }) => history));
    const text = Object.entries(histories.counts).map(([name, count]) => `${count} ${name}`);
    this.settings.say(`what the clients saw: ${text.join(", ")}`);
    const start = performance.now();
    const faults = judgeAll(histories, directory, this.haveReplicasMoved ? [] : ["still"]);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const keys = histories.operations.size;
    this.settings.say(
      `${keys} keys judged in ${seconds} s: ${faults.length === 0 ? "well" : "NOT WELL"}`,
    );
    return faults;
  }

  private shuffled<T>(all: readonly T[]): T[] {
    const order = all.map((one) => ({ one, at: this.random() }));
    return order.sort((a, b) => a.at - b.at).map(({ one }) => one);
  }
}
