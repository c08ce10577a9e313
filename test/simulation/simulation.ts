/**
 * A cluster of whole nodes over simulated engines, in virtual time: clients count, shards split and
 * merge, groups and their leaders move, messages are lost, nodes die at any step and come back.
 *
 * One seed decides everything. The invariants stand in `invariants/`; the first breach ends the run.
 */
import { NodeLifecycle } from "../../ts/api/lifecycle.ts";
import { RaftFleetFunctions } from "../../ts/api/raft-fleet.ts";
import { RaftKVFunctions } from "../../ts/api/raft-kv.ts";
import { Calls, type IdKeyspace, type Ids, idModule } from "./calls.ts";
import { checkBoundedTime } from "./invariants/bounded-time.ts";
import { checkCallOrder } from "./invariants/call-order.ts";
import { checkEqual } from "./invariants/equal-replicas.ts";
import { checkCounts } from "./invariants/exact-counts.ts";
import { Effects } from "./invariants/exactly-once.ts";
import { checkOneOwner } from "./invariants/one-owner.ts";
import { type Owner, VirtualTime } from "./virtual-time.ts";
import { Witness } from "./witness.ts";
import { World } from "./world.ts";

const KEYSPACE = "ids";
const MANY = { maxShards: 5, maxKeysPerShard: 6 };
const FEW = { maxShards: 5, maxKeysPerShard: 10_000 };
/** Steps of shards that a crash is tried at most at. */
const STEPS: readonly string[] = ["copying", "handedOver", "awaiting", "extending", "drained"];

/** How a run goes; what is left out is as usual. */
export interface RunOptions {
  /** Milliseconds of virtual time with clients and faults. */
  readonly duration?: number;
  readonly keepsOrder?: boolean;
  readonly callersPerNode?: number;
}

/** What a run that breached nothing looked like. */
export interface Summary {
  readonly hash: number;
  readonly steps: number;
  readonly commands: number;
  readonly queries: number;
  readonly moves: number;
  readonly crashes: number;
  /** Nodes that left for good while another joined. */
  readonly replaced: number;
  readonly slowest: number;
  readonly failures: ReadonlyMap<string, number>;
}

interface SimulatedNode {
  readonly name: string;
  readonly listen: string;
  owner: Owner;
  process: string;
  lifecycle: NodeLifecycle | undefined;
  keyspace: IdKeyspace | undefined;
  starts: number;
}

/** Runs a seed. @throws what was breached, with the last things that happened */
export async function simulate(seed: number, options: RunOptions = {}): Promise<Summary> {
  const simulation = new Simulation(seed, options);
  const uninstall = simulation.time.install();
  const unhandled = (reason: unknown) =>
    simulation.time.fail(new Error(`unhandled: ${String(reason)}`, { cause: reason }));
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", unhandled);
  try {
    return await simulation.run();
  } catch (error) {
    const recent = simulation.world.recent.slice(-30).join("\n  ");
    const command = `node scripts/simulate.mjs --seed ${seed}`;
    const message = `seed ${seed}: ${messageOf(error)}\n  again by: ${command}\n  ${recent}`;
    throw new Error(message, { cause: error });
  } finally {
    process.removeListener("unhandledRejection", unhandled);
    for (const listener of others) process.on("unhandledRejection", listener);
    uninstall();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

class Simulation {
  readonly time: VirtualTime;
  readonly world: World;
  private readonly options: RunOptions;
  private readonly calls: Calls;
  private readonly effects = new Effects((error) => this.time.fail(error));
  private readonly witness: Witness;
  private readonly nodes: SimulatedNode[] = [];
  private readonly keys: string[];
  private calling = true;
  private moves = 0;
  private crashes = 0;
  private replaced = 0;
  private starting = 0;
  private named = 0;

  constructor(seed: number, options: RunOptions) {
    this.options = options;
    this.time = new VirtualTime(seed);
    this.world = new World(this.time);
    this.world.chaos.keepsOrder = options.keepsOrder ?? true;
    this.calls = new Calls(this.time);
    this.calls.slow = ({ id, key, begun, outcome }) =>
      this.world.trace(`slow: ${id} on ${key}, ${outcome}, begun at`, begun);
    this.witness = new Witness(idModule((id) => this.effects.happened(id)) as never, (error) =>
      this.time.fail(error),
    );
    this.keys = Array.from({ length: 30 }, (_, at) => `key-${at}`);
    this.world.watchers.push((group, index, entry) => this.committed(group, index, entry));
  }

  async run(): Promise<Summary> {
    const { time } = this;
    const count = time.pick([2, 3, 3, 4])!;
    for (let at = 0; at < count; at++) this.addNode();
    for (const node of this.nodes) this.start(node);
    await this.until("a cluster", () => this.nodes.every(({ keyspace }) => keyspace !== undefined));
    for (const node of this.nodes) this.startCallers(node);
    this.trouble();
    this.policies();
    this.watchTime();
    await time.run(this.options.duration ?? 12_000);
    await this.quiet();
    await this.judge();
    const { hash } = this.world;
    const { slowest, failures, queries, all } = this.calls;
    const { moves, crashes, replaced } = this;
    const { steps } = time;
    const counted = { commands: all.length, queries, moves, crashes, replaced };
    return { hash, steps, ...counted, slowest, failures };
  }

  private async until(what: string, holds: () => boolean, most = 120_000): Promise<void> {
    if (!(await this.time.run(most, holds))) throw new Error(`no ${what} after ${most} ms`);
  }

  // Nodes

  private addNode(): SimulatedNode {
    const name = `n${++this.named}`;
    const node: SimulatedNode = {
      ...{ name, listen: `${name}:1`, owner: { alive: false }, process: "", starts: 0 },
      ...{ lifecycle: undefined, keyspace: undefined },
    };
    this.nodes.push(node);
    return node;
  }

  private start(node: SimulatedNode): void {
    const owner = { alive: true };
    node.owner = owner;
    node.process = `${node.name}.${++node.starts}`;
    const lifecycle = new NodeLifecycle(
      {
        ...{ listen: node.listen, seeds: this.nodes.slice(0, 3).map(({ listen }) => listen) },
        ...{
          dataDir: `/${node.name}`,
          balancingInterval: 100,
          nodePurgeFailureTimeWindow: 600_000,
        },
        ...{ statsCollectionInterval: 300, workflowExecutionInterval: 200 },
        ...{ shardIneligiblePeriodAfterSplitOrMerge: 200, workflowLockPeriod: 5_000 },
      },
      this.world.opener(owner),
    );
    node.lifecycle = lifecycle;
    this.starting++;
    void this.time.as(owner, () => this.open(node, owner, lifecycle));
  }

  private async open(node: SimulatedNode, owner: Owner, lifecycle: NodeLifecycle): Promise<void> {
    const fleet = new RaftFleetFunctions(lifecycle);
    const kv = new RaftKVFunctions(lifecycle);
    kv.events.on("split", () => this.moves++);
    kv.events.on("merge", () => this.moves++);
    try {
      await fleet.activate(`zone ${this.nodes.indexOf(node) % 3}`);
      for (;;) {
        try {
          await kv.init();
          const keyspace = await kv.openKeyspace(KEYSPACE, idModule(), null, FEW);
          if (node.owner === owner) node.keyspace = keyspace;
          this.starting--;
          return;
        } catch (error) {
          // Without a leader for a while; a program would try again as well.
          this.world.trace(`retries ${messageOf(error)}`);
          await this.time.pause(owner, 100);
        }
      }
    } catch (error) {
      this.time.fail(error);
    }
  }

  private crash(node: SimulatedNode, away: number): void {
    const { lifecycle, owner } = node;
    if (!owner.alive || lifecycle === undefined) return;
    this.crashes++;
    this.world.trace(`crash of ${node.name}`);
    owner.alive = false;
    if (node.keyspace === undefined) this.starting--;
    node.keyspace = undefined;
    node.lifecycle = undefined;
    this.calls.died(node.process);
    const engine = this.world.running.find((running) => running.owner === owner);
    if (engine !== undefined) this.world.stopped(engine);
    this.time.schedule(undefined, away, () => {
      this.start(node);
      this.startCallers(node);
    });
  }

  // Clients

  private startCallers(node: SimulatedNode): void {
    const count = this.options.callersPerNode ?? 3;
    for (let at = 0; at < count; at++) void this.time.as(node.owner, () => this.caller(node));
  }

  private async caller(node: SimulatedNode): Promise<void> {
    const { time, calls } = this;
    const { owner } = node;
    while (this.calling) {
      const { keyspace, process } = node;
      await time.pause(owner, time.between(1, 60));
      if (keyspace === undefined) continue;
      const key = time.pick(this.keys)!;
      if (time.chance(0.3)) await calls.query(keyspace, key);
      else {
        const sent: Promise<void>[] = [];
        for (let left = time.pick([1, 1, 2, 4])!; left > 0; left--) {
          const options = time.chance(0.1) ? { timeout: 700 } : undefined;
          sent.push(calls.command(keyspace, process, key, options));
          if (time.chance(0.3)) await time.pause(owner, time.between(0, 5));
        }
        await Promise.all(sent);
        if (time.chance(0.3)) this.askElsewhere(key);
      }
    }
  }

  /** Somebody on another node asks for what was acknowledged just now. */
  private askElsewhere(key: string): void {
    const { keyspace, owner } = this.time.pick(this.nodes)!;
    if (keyspace === undefined) return;
    const query = () => this.calls.query(keyspace, key).catch(() => undefined);
    void this.time.as(owner, query);
  }

  // Faults

  private trouble(): void {
    const { time } = this;
    time.schedule(undefined, time.between(50, 900), () => {
      if (!this.calling) return;
      this.faults[Math.floor(time.random() * this.faults.length)]?.();
      this.trouble();
    });
  }

  private readonly faults: readonly (() => void)[] = [
    () => this.crashSome(),
    () => this.replaceSome(),
    () => this.someGroup()?.depose(false),
    () => this.someGroup()?.depose(true),
    () => this.snapshot(),
    () => this.snapshot(),
    () => this.network(0.05, 0.05),
    () => this.network(0, 0),
    () => {
      this.world.chaos.slow = this.time.pick([0, 0.05, 0.3])!;
    },
  ];

  private crashSome(): void {
    // A majority stays, so that calls can be answered.
    const up = this.nodes.filter(({ keyspace }) => keyspace !== undefined);
    if (this.starting > 0 || (up.length - 1) * 2 <= this.nodes.length) return;
    this.crash(this.time.pick(up)!, this.time.between(50, 2_500));
  }

  /** A node leaves for good, and another joins. */
  private replaceSome(): void {
    const up = this.nodes.filter(({ keyspace }) => keyspace !== undefined);
    if (this.starting > 0 || up.length < 3 || up.length < this.nodes.length) return;
    const added = this.addNode();
    this.start(added);
    this.startCallers(added);
    // The first nodes are seeds.
    const leaving = up.at(-1) as SimulatedNode;
    this.world.trace(`${leaving.name} leaves`);
    this.starting++;
    void this.time.as(leaving.owner, async () => {
      try {
        await this.leave(leaving);
        this.starting--;
        this.replaced++;
        this.world.trace(`${leaving.name} has left`);
        this.nodes.splice(this.nodes.indexOf(leaving), 1);
        leaving.keyspace = undefined;
      } catch (error) {
        this.time.fail(error);
      }
    });
  }

  /** Without a leader for a while, a program asks again, as an operator would. */
  private async leave({ lifecycle, owner }: SimulatedNode): Promise<void> {
    while (lifecycle?.activeCore() !== undefined) {
      try {
        await lifecycle.deactivate();
      } catch (error) {
        this.world.trace(`does not leave yet: ${messageOf(error)}`);
        await this.time.pause(owner, 200);
      }
    }
  }

  private someGroup() {
    return this.time.pick([...this.world.groups.values()].filter(({ leader }) => leader !== 0));
  }

  private snapshot(): void {
    const engine = this.time.pick(this.world.running);
    for (const group of this.world.groups.values()) engine?.requestSnapshot(group);
  }

  private network(lost: number, doubled: number): void {
    this.world.chaos.lost = lost;
    this.world.chaos.doubled = doubled;
  }

  /** Has shards split, then merged, again and again. */
  private policies(): void {
    const { time } = this;
    let policy = MANY;
    const next = () => {
      time.schedule(undefined, time.between(500, 4_000), () => {
        if (!this.calling) return;
        const node = time.pick(this.nodes.filter(({ keyspace }) => keyspace !== undefined));
        if (node?.lifecycle !== undefined) this.setPolicy(node, policy);
        policy = policy === MANY ? FEW : MANY;
        next();
      });
    };
    next();
  }

  private setPolicy(node: SimulatedNode, policy: typeof MANY): void {
    const kv = new RaftKVFunctions(node.lifecycle as NodeLifecycle);
    void this.time.as(node.owner, () =>
      kv.setKeyspacePolicy(KEYSPACE, policy).catch((error: unknown) => {
        this.world.trace(`no policy: ${messageOf(error)}`);
      }),
    );
  }

  // Invariants

  private committed(...[group, index, entry]: Parameters<World["watchers"][number]>): void {
    const changed = this.witness.apply(group, index, entry);
    if (!changed) return;
    for (const id of this.witness.replicas.keys()) {
      if (!this.world.groups.has(id) && id !== group.id) this.witness.forget(id);
    }
    const { shards } = this.witness;
    if (shards.length > 0) checkOneOwner(shards);
    const machine = shards.find((shard) => shard.group === group.id);
    if (machine === undefined || !STEPS.includes(machine.statusName)) return;
    if (!this.calling || !this.time.chance(0.08)) return;
    this.time.schedule(undefined, this.time.pick([0, 1, 10])!, () => this.crashSome());
  }

  private watchTime(): void {
    this.time.schedule(undefined, 1_000, () => {
      checkBoundedTime(this.calls.pending, this.time.now);
      this.watchTime();
    });
  }

  /** All comes to rest: nodes are up, callers have their answers, workflows are over. */
  private async quiet(): Promise<void> {
    this.calling = false;
    this.network(0, 0);
    this.world.chaos.slow = 0;
    await this.until(
      "rest of the nodes",
      () => this.starting === 0 && this.nodes.every(({ keyspace }) => keyspace !== undefined),
    );
    await this.until("answer of all calls", () => this.calls.pending.size === 0);
    await this.until("end of all workflows", () => this.witness.directory?.workflows.size === 0);
    await this.time.run(8_000);
  }

  private async judge(): Promise<void> {
    const values = new Map<string, Ids>();
    for (const { keyspace, owner } of this.nodes) {
      for (const key of this.keys) {
        let found: Ids | undefined;
        const query = () => this.calls.query(keyspace as IdKeyspace, key);
        void this.time.as(owner, query).then(async (ids) => {
          found = (await ids) ?? [];
        });
        await this.until(`value of ${key}`, () => found !== undefined);
        const before = values.get(key);
        if (before !== undefined && before.join() !== found?.join()) {
          throw new Error(`two nodes find different values of ${key}`);
        }
        values.set(key, found as Ids);
      }
    }
    const { all } = this.calls;
    checkCounts(all, values);
    this.effects.check(all);
    checkCallOrder(all, values);
    checkOneOwner(this.witness.shards);
    this.checkReplicas();
  }

  private checkReplicas(): void {
    for (const { lifecycle } of this.nodes) {
      const core = lifecycle?.core();
      for (const expected of this.witness.replicas.values()) {
        const found = core?.host.replica(expected.group);
        if (core !== undefined && found !== undefined) checkEqual(expected, found, core.nodeId);
      }
    }
  }
}
