/**
 * A cluster in one process and in virtual time: the real directory, fleet and shard machines behind
 * the executor's ports, clients that count, calls that get lost, executors that crash.
 *
 * A seed decides every delay and fault. After each effect the invariants of range transfer hold, or
 * the run ends with the seed in the error.
 */
import { decodeValue, encodeValue } from "../../ts/codec/index.ts";
import type { DirectoryCommand, DirectoryReply } from "../../ts/directory/commands.ts";
import { directoryModule } from "../../ts/directory/directory.ts";
import { type DirectoryState, HASH_SPACE } from "../../ts/directory/state.ts";
import type { GroupReference } from "../../ts/directory/workflow.ts";
import type { FleetCommand, FleetReplies } from "../../ts/fleet/commands.ts";
import { fleetModule } from "../../ts/fleet/fleet.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { type Command, EncodedResult, PARKED, Refusal } from "../../ts/machine/machine.ts";
import type { SplitMergePolicyFields } from "../../ts/policy.ts";
import type { KeyIndex } from "../../ts/shard/entry.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import type {
  ShardCommand,
  ShardRead,
  ShardReadReply,
  ShardReply,
} from "../../ts/shard/requests.ts";
import { WorkflowExecutor } from "../../ts/workflow/executor.ts";
import type { Cancel, CreateGroup, WorkflowEvent, WorkflowPorts } from "../../ts/workflow/ports.ts";
import { type ReporterPorts, StatisticsReporter } from "../../ts/workflow/reporter.ts";
import { checkDirectory, POLICY } from "../directory/model.ts";
import { Group, hashOf } from "../shard/harness.ts";

export const KEYSPACE = "ks";
export const OPTIONS = {
  statsCollectionInterval: 1_000,
  workflowExecutionInterval: 1_000,
  workflowLockPeriod: 30_000,
  shardIneligiblePeriodAfterSplitOrMerge: 2_000,
};

/** Counts how often a key was added to. */
const COUNTER: ValuePerKey<number, string, "add" | "remove", number> = {
  command: (previous, _size, _key, arg) =>
    arg === "remove" ? [0, 1, undefined, 0] : [(previous ?? 0) + 1, 1, (previous ?? 0) + 1, 1],
  query: (value) => [value, 1],
};

/** What happens to the n-th call of the executor. */
export type Fault = "request lost" | "answer lost" | "crash before" | "crash after" | null;

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

interface Host {
  readonly group: Group;
  readonly keyspace: number;
  readonly name: string;
}

export class Simulation {
  readonly seed: number;
  readonly directory = new DataMachine(directoryModule);
  readonly fleet = new DataMachine(fleetModule);
  readonly groups = new Map<number, Host>();
  readonly events: WorkflowEvent[] = [];
  /** What each key was added to, by acknowledged commands. */
  readonly counts = new Map<string, number>();
  /** Names of the calls that the executor made. */
  readonly calls: string[] = [];
  fault: (call: number, name: string) => Fault = () => null;
  executor: WorkflowExecutor | null = null;
  reporter: StatisticsReporter;
  failure: unknown = null;
  /** Virtual milliseconds. */
  time = 0;
  node = 1;
  private readonly indexes = new Map<number, KeyIndex>();
  private readonly routes = new Map<string, { start: number; group: number }[]>();
  private timers: Timer[] = [];
  private orders = 0;
  private requests = 0;
  private readonly unsettled = new Set<number>();
  private state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.state = seed | 0;
    for (const id of [1, 2]) {
      const node = { id, name: `n${id}`, zone: "z", address: null, version: "0", incarnation: 1 };
      this.tellFleet({ type: "joinNode", node: { ...node, modules: [KEYSPACE] }, now: 0 });
    }
    this.reporter = new StatisticsReporter(this.reporterPorts(), OPTIONS);
  }

  // Time and chance

  random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  schedule(delay: number, callback: () => void): Cancel {
    const timer = { at: this.time + delay, order: this.orders++, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((known) => known !== timer);
    };
  }

  get timersLeft(): number {
    return this.timers.length;
  }

  pause(most: number): Promise<void> {
    return new Promise((resolve) => this.schedule(this.random() * most, resolve));
  }

  /** Lets virtual time pass until something holds. */
  async run(until: () => boolean, most = 600_000): Promise<void> {
    const limit = this.time + most;
    for (;;) {
      // All promises that can go on without time passing do so before this resolves.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.failure !== null) {
        throw new Error(`seed ${this.seed}: ${this.failure}`, { cause: this.failure });
      }
      if (until()) return;
      const next = this.timers.reduce<Timer | null>(earlier, null);
      if (next === null || next.at > limit) {
        const running = JSON.stringify([...this.directoryState().workflows.values()]);
        throw new Error(`seed ${this.seed}: nothing more happens; running: ${running}`);
      }
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
  }

  // The directory's leader

  lead(node = this.node): void {
    this.node = node;
    this.executor?.stop();
    this.executor = new WorkflowExecutor(this.ports(node), OPTIONS);
    this.executor.start();
  }

  stop(): void {
    this.executor?.stop();
    this.executor = null;
    this.reporter.stop();
  }

  directoryState(): DirectoryState {
    return this.directory.state;
  }

  async register(policy: Partial<SplitMergePolicyFields> = {}, token = "t"): Promise<void> {
    const settings = { replicas: 1 };
    const common = { node: this.node, now: this.now(), lockPeriod: OPTIONS.workflowLockPeriod };
    this.tellDirectory({
      ...common,
      type: "register",
      name: KEYSPACE,
      policy: { ...POLICY, ...policy },
      settings,
      token,
    });
    await this.run(() => (this.directoryState().keyspaces.get(KEYSPACE)?.shards.length ?? 0) > 0);
  }

  deregister(): void {
    const common = { node: this.node, now: this.now(), lockPeriod: OPTIONS.workflowLockPeriod };
    this.tellDirectory({ ...common, type: "deregister", name: KEYSPACE });
  }

  names(): string[] {
    return (
      this.directoryState()
        .keyspaces.get(KEYSPACE)
        ?.shards.map((shard) => shard.name) ?? []
    );
  }

  /** No workflow runs, and none is due. */
  idle(): boolean {
    return this.directoryState().workflows.size === 0;
  }

  // Clients

  async send(key: string, argument: "add" | "remove"): Promise<void> {
    const request = ++this.requests;
    this.unsettled.add(request);
    const hash = hashOf(key);
    let target = this.routeOf(hash);
    let batch = request;
    for (let attempt = 0; ; attempt++) {
      if (attempt > 2_000) throw new Error(`seed ${this.seed}: ${key} finds no shard`);
      const host = target === undefined ? undefined : this.groups.get(target);
      if (!host) {
        await this.pause(4);
        if (!this.directoryState().keyspaces.has(KEYSPACE)) return;
        target = this.routeOf(hash);
        continue;
      }
      const acknowledged = Math.min(...this.unsettled);
      const sent = { node: 77, incarnation: 1, request, batch, acknowledged, retry: attempt > 0 };
      let result = host.group.commit({ ...sent, key, hash, argument });
      batch = ++this.requests;
      while (result === PARKED) {
        const settled = host.group.settled.find((known) => known.request === request);
        if (settled) result = settled.result;
        else await this.pause(2);
      }
      if (!(result instanceof Refusal)) break;
      if (result.code === "COMMAND_FAILED" || result.code === "REJECTED") {
        throw new Error(`seed ${this.seed}: ${result.message}`);
      }
      await this.pause(4);
      target = result.code === "MOVED" ? result.group : this.routeOf(hash);
    }
    this.unsettled.delete(request);
    if (argument === "remove") this.counts.delete(key);
    else this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    for (const { group, name } of this.groups.values()) {
      const { keys, size, load } = group.machine.statistics();
      this.reporter.applied(KEYSPACE, name, keys, size, load);
    }
  }

  /** Keys `key 0` to `key n-1` get this command, a few at a time. */
  async sendAll(argument: "add" | "remove", count: number, clients = 4): Promise<void> {
    let next = 0;
    let done = 0;
    const client = async () => {
      while (next < count) await this.send(`key ${next++}`, argument).catch((e) => this.fail(e));
      done++;
    };
    for (let at = 0; at < clients; at++) void client();
    await this.run(() => done === clients);
  }

  /** Adds to random keys until told to stop; resolves when all is acknowledged. */
  background(keys: number, clients = 3): () => Promise<void> {
    let going = true;
    let ended = 0;
    const client = async () => {
      while (going) {
        await this.send(`key ${Math.floor(this.random() * keys)}`, "add");
        await this.pause(5);
      }
      ended++;
    };
    for (let at = 0; at < clients; at++) client().catch((error) => this.fail(error));
    return () => {
      going = false;
      return this.run(() => ended === clients);
    };
  }

  /** Each key has exactly what acknowledged commands made of it, and one shard owns it. */
  checkCounts(): void {
    const found = new Map<string, number>();
    for (const { group } of this.groups.values()) {
      for (const key of this.counts.keys()) {
        if (!group.machine.owns(hashOf(key))) continue;
        const value = group.get(key);
        if (value === undefined) continue;
        if (found.has(key)) throw new Error(`seed ${this.seed}: ${key} is owned twice`);
        found.set(key, value as number);
      }
    }
    for (const [key, count] of this.counts) {
      if (found.get(key) === count) continue;
      throw new Error(`seed ${this.seed}: ${key} is ${found.get(key)}, acknowledged ${count}`);
    }
  }

  // Invariants of range transfer

  check(): void {
    checkDirectory(this.directoryState());
    const byKeyspace = new Map<number, { start: number; end: number }[]>();
    for (const { group, keyspace } of this.groups.values()) {
      const { start, end } = group.machine.range;
      if (start < end)
        byKeyspace.set(keyspace, [...(byKeyspace.get(keyspace) ?? []), { start, end }]);
    }
    const moving = [...this.directoryState().workflows.values()].flatMap((workflow) =>
      (workflow.kind === "split" || workflow.kind === "merge") && workflow.step === "handOver"
        ? [workflow]
        : [],
    );
    for (const entry of this.directoryState().keyspaces.values()) {
      const owned = (byKeyspace.get(entry.number) ?? []).sort((a, b) => a.start - b.start);
      if (entry.shards.length === 0) continue;
      let at = 0;
      for (const { start, end } of [...owned, { start: HASH_SPACE, end: HASH_SPACE }]) {
        if (start < at) throw new Error(`[${start}, ${at}) has two owners`);
        const known = moving.some((one) => one.start === at && one.end === start);
        if (start > at && !known) throw new Error(`[${at}, ${start}) has no owner`);
        at = end;
      }
    }
  }

  fail(error: unknown): void {
    this.failure ??= error;
  }

  // Ports

  private now(): number {
    return 1_700_000_000_000 + this.time;
  }

  private ports(node: number): WorkflowPorts {
    return {
      node,
      now: () => this.now(),
      elapsed: () => this.time,
      schedule: (delay, callback) => this.schedule(delay, callback),
      directory: () => this.directoryState(),
      command: (command) =>
        this.call(`directory ${command.type}`, () => this.tellDirectory(command)),
      createGroup: (request) => this.call("createGroup", () => this.createGroup(request)),
      removeGroup: (group) => this.call("removeGroup", () => this.removeGroup(group)),
      shardCommand: (group, command) => this.call(command.type, () => this.tell(group, command)),
      shardRead: (group, read) => this.call(read.type, () => this.read(group, read)),
      publishRoutes: (keyspace) => this.call("publishRoutes", () => this.publish(keyspace)),
      emit: (event) => this.events.push(event),
    };
  }

  private async call<T>(name: string, effect: () => T): Promise<T> {
    await this.pause(2);
    const fault = this.fault(this.calls.push(name), name);
    if (fault === "request lost") throw new Error("the request is lost");
    if (fault === "crash before") return this.crash();
    let result: T;
    try {
      result = effect();
      this.check();
    } catch (error) {
      if (!(error instanceof Unreachable)) this.fail(error);
      throw error;
    }
    if (fault === "answer lost") throw new Error("the answer is lost");
    if (fault === "crash after") return this.crash();
    await this.pause(2);
    return result;
  }

  /** The executor is gone; another one goes on, on this node or the other. */
  private crash(): never {
    // The other node waits for the lock period, which costs the test a while: seldom.
    this.lead(this.random() < 0.97 ? this.node : 3 - this.node);
    throw new Error("crashed");
  }

  private reporterPorts(): ReporterPorts {
    return {
      now: () => this.now(),
      elapsed: () => this.time,
      schedule: (delay, callback) => this.schedule(delay, callback),
      policy: (keyspace) => this.directoryState().keyspaces.get(keyspace)?.policy,
      takeFigures: () =>
        [...this.groups].map(([id, { group, name }]) => {
          const { start, end } = group.machine.range;
          const { keys, size } = group.machine.statistics();
          const load = group.machine.takeLoad();
          return { keyspace: KEYSPACE, name, group: id, start, end, keys, size, load };
        }),
      report: async (shards) => {
        await this.pause(2);
        const reply = this.tellDirectory({ type: "report", now: this.now(), shards });
        return reply.ok && "taken" in reply ? reply.taken : [];
      },
    };
  }

  // Effects

  private tellDirectory(command: DirectoryCommand): DirectoryReply {
    const reply = decided(this.directory, command) as DirectoryReply;
    this.executor?.wake();
    return reply;
  }

  private tellFleet<C extends FleetCommand>(command: C): FleetReplies[C["type"]] {
    return decided(this.fleet, command) as FleetReplies[C["type"]];
  }

  private createGroup({ name, token, keyspace, role }: CreateGroup): FleetReplies["addGroup"] {
    const range = role === "first" ? { start: 0, end: HASH_SPACE } : null;
    const reply = this.tellFleet({
      type: "addGroup",
      name,
      token,
      replicas: 1,
      module: KEYSPACE,
      settings: { keyspace: keyspace.number },
    });
    if (reply.ok && !this.groups.has(reply.group)) {
      const index = this.indexes.get(keyspace.number) ?? new Map();
      this.indexes.set(keyspace.number, index);
      const group = new Group(reply.group, COUNTER, range, index);
      this.groups.set(reply.group, { group, name, keyspace: keyspace.number });
    }
    return reply;
  }

  private removeGroup({ name, token }: GroupReference): void {
    const reply = this.tellFleet({ type: "removeGroup", name, token });
    if (!reply.ok) return;
    // The members take their replicas down a little later.
    this.schedule(this.random() * 20, () => {
      this.groups.get(reply.group)?.group.machine.close();
      this.groups.delete(reply.group);
      for (const node of [1, 2]) {
        this.tellFleet({ type: "confirmRemoved", group: reply.group, node });
      }
    });
  }

  private tell(group: number, command: ShardCommand): ShardReply | Refusal {
    return this.host(group).tell(command);
  }

  private read(group: number, read: ShardRead): ShardReadReply | Refusal {
    return this.host(group).read(read);
  }

  private host(group: number): Group {
    const host = this.groups.get(group);
    if (!host) throw new Unreachable(`group ${group} is not here`);
    return host.group;
  }

  private publish(keyspace: string): void {
    const shards = this.directoryState().keyspaces.get(keyspace)?.shards ?? [];
    this.routes.set(
      keyspace,
      shards.map(({ start, group }) => ({ start, group })),
    );
  }

  private routeOf(hash: number): number | undefined {
    return this.routes.get(KEYSPACE)?.findLast(({ start }) => start <= hash)?.group;
  }
}

class Unreachable extends Error {}

function earlier(best: Timer | null, timer: Timer): Timer {
  if (best === null || timer.at < best.at) return timer;
  return timer.at === best.at && timer.order < best.order ? timer : best;
}

/** Applies a command as a host does: encoded, and its reply encoded as well. */
function decided(machine: DataMachine<never> | DataMachine<unknown>, argument: unknown): unknown {
  const bytes = encodeValue(argument);
  const origin = { node: 1, incarnation: 1, request: 1, hash: 0 };
  const command: Command = { ...origin, fingerprint: 0, bytes, keyStart: 0, argumentStart: 0 };
  const context = { index: 1, now: 0, random: () => 0, settle: () => undefined };
  const result = machine.apply(command, context);
  if (result instanceof Refusal) throw new Error(result.message);
  return result instanceof EncodedResult ? decodeValue(result.bytes) : result;
}
