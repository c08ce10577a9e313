/**
 * What `RaftKV.init` starts on a node: the directory, the workflows and reports of the node that
 * leads it, and the calls that are about keyspaces and shards as a whole.
 */
import { randomUUID } from "node:crypto";
import type { ShardInformation } from "../admin/types.ts";
import { type CallSettings, callError, DEFAULT_CALL } from "../client/call.ts";
import { asError, refusalOf, withOutcome } from "../client/failure.ts";
import { groupRoute, NO_KEY } from "../client/outbox.ts";
import { pause } from "../client/pause.ts";
import { leaderLimit } from "../client/reads.ts";
import type { Key } from "../codec/key.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import type { DirectoryCommand, DirectoryReplies, DirectoryReply } from "../directory/commands.ts";
import { type KeyspaceEntry, keyspaceOfShardName, type ShardEntry } from "../directory/state.ts";
import { RaftKVError } from "../errors.ts";
import { KEYS_PAGE } from "../limits.ts";
import { EncodedResult, Refusal } from "../machine/machine.ts";
import { SplitMergePolicy, type SplitMergePolicyFields } from "../policy.ts";
import type { ShardMachine } from "../shard/machine.ts";
import { type KeysReply, type ShardReply, shardCommand, shardRead } from "../shard/requests.ts";
import type { HashRange } from "../shard/status.ts";
import { WorkflowExecutor } from "../workflow/executor.ts";
import { TransferPauses } from "../workflow/pauses.ts";
import type { WorkflowEvent } from "../workflow/ports.ts";
import { StatisticsReporter } from "../workflow/reporter.ts";
import type { Core } from "./core.ts";
import { keyspaceModule, type LocalKeyspaces } from "./keyspaces.ts";
import { shown } from "./option-values.ts";
import type { RaftOptions } from "./raft-kv.ts";
import { NodeReporterPorts } from "./reporter-ports.ts";
import type { ShardStanding } from "./shard-survey.ts";
import { NodePorts } from "./workflow-ports.ts";

/** Replicas of a shard, unless the program says otherwise. */
const REPLICAS_DEFAULT = 3;
/** How long to wait before a shard that moved is looked for again, in milliseconds. */
const SHARD_POLL_MS = 2;
/** How long a page of keys is waited for while its shard moves, in milliseconds. */
const PAGE_WAIT_MS = 10_000;

type Success<T extends DirectoryCommand["type"]> = Extract<DirectoryReplies[T], { ok: true }>;

/** See the head of this file. */
export class KeyspaceService {
  private readonly core: Core;
  private readonly keyspaces: LocalKeyspaces;
  private readonly ports: NodePorts;
  private readonly reporter: StatisticsReporter;
  private readonly pauses = new TransferPauses();
  /** Made anew for each time that this node leads the directory. */
  private executor: WorkflowExecutor | undefined;

  private constructor(core: Core, keyspaces: LocalKeyspaces, directoryGroup: number) {
    this.core = core;
    this.keyspaces = keyspaces;
    this.ports = new NodePorts(core, keyspaces, directoryGroup, (event) => this.tell(event));
    this.reporter = new StatisticsReporter(
      new NodeReporterPorts(this.ports, keyspaces),
      core.settings,
    );
  }

  /** Opens the directory on this node and starts to work for it. */
  static async start(core: Core, keyspaces: LocalKeyspaces): Promise<KeyspaceService> {
    const replica = await keyspaces.openDirectory();
    const service = new KeyspaceService(core, keyspaces, replica.group);
    keyspaces.onDirectoryChange = () => service.executor?.wake();
    keyspaces.onDirectoryLeader = (leading) => service.lead(leading);
    keyspaces.onShardApplied = (shard, name) => service.shardApplied(shard, name);
    service.lead(replica.leading);
    service.reporter.start();
    return service;
  }

  /** Ends what runs in the background. */
  close(): void {
    this.reporter.stop();
    this.lead(false);
    this.keyspaces.onDirectoryChange = undefined;
    this.keyspaces.onDirectoryLeader = undefined;
    this.keyspaces.onShardApplied = undefined;
  }

  /** Registers a keyspace; resolves when its first shard serves here. */
  async register(
    name: string,
    policy: SplitMergePolicyFields,
    options?: RaftOptions,
  ): Promise<void> {
    this.checkShardNamesFree(name);
    await this.directory({
      type: "register",
      name,
      policy,
      settings: { replicas: options?.replicas ?? REPLICAS_DEFAULT },
      token: randomUUID(),
      ...this.ownership(),
    });
    await this.served(name);
  }

  /** Registers a keyspace unless it is; resolves when all its shards serve. */
  async registerIfMissing(
    name: string,
    policy: SplitMergePolicyFields,
    options?: RaftOptions,
  ): Promise<void> {
    if (this.entry(name) === undefined) {
      try {
        return await this.register(name, policy, options);
      } catch (error) {
        if (!(error instanceof RaftKVError) || error.code !== "ALREADY_REGISTERED") throw error;
      }
    }
    await this.served(name);
  }

  /** Removes a keyspace: it is gone at once, its groups are removed in the background. */
  async deregister(name: string): Promise<void> {
    await this.directory({ type: "deregister", name, ...this.ownership() });
    this.keyspaces.unbind(name);
  }

  /** A group that a program gave the name of a shard would stand in the way of that shard. */
  private checkShardNamesFree(keyspace: string): void {
    if (this.entry(keyspace) !== undefined) return;
    for (const { name, module } of this.core.fleet.groups.values()) {
      if (module === keyspaceModule(keyspace) || keyspaceOfShardName(name) !== keyspace) continue;
      const message = `a shard of the keyspace ${keyspace} would have the name of the group ${name}; use another name, or remove the group`;
      throw new RaftKVError("ALREADY_REGISTERED", message, { keyspace, group: name });
    }
  }

  /** Names of all keyspaces, sorted. */
  names(): string[] {
    return [...this.ports.directory().keyspaces.keys()].sort();
  }

  /** A keyspace's policy, or `null`. */
  policy(name: string): SplitMergePolicy | null {
    const entry = this.entry(name);
    return entry === undefined ? null : new SplitMergePolicy(entry.policy);
  }

  /** Replaces a keyspace's policy. */
  async setPolicy(name: string, policy: SplitMergePolicyFields): Promise<void> {
    await this.directory({ type: "setPolicy", name, policy });
  }

  /** The names of a keyspace's shards, in ascending order of their ranges. */
  shardNames(name: string): string[] {
    return this.known(name).shards.map((shard) => shard.name);
  }

  /**
   * What the leaders of a keyspace's shards say of them, and what is known here of those whose leader
   * does not answer. Each node that leads some is asked by few calls.
   */
  async shards(name: string): Promise<ShardInformation[]> {
    const { shards } = this.known(name);
    const { reads, shardSurvey } = this.core;
    const groups = shards.map(({ group }) => group);
    const leading = groups.map(async (group) => [group, await reads.leader(group, DEFAULT_CALL)]);
    const leaders = new Map((await Promise.all(leading)) as [number, number][]);
    const standing = await shardSurvey.ask(leaders);
    return shards.map((shard) => {
      return this.information(shard, leaders.get(shard.group) ?? 0, standing.get(shard.group));
    });
  }

  /** All keys of one shard. */
  async keysInShard(shardName: string): Promise<Key[]> {
    const { keyspace, shard } = this.shard(shardName);
    const keys: Key[] = [];
    for (let from = shard.start; from < shard.end; ) {
      const page = await this.page(keyspace, from);
      if (page === undefined) throw this.noSuchShard(shardName);
      keys.push(...(page.keys as Key[]));
      from = page.next;
    }
    return keys;
  }

  /** About `limit` keys with hashes from `from` on, and where to read on. */
  async keysFrom(
    name: string,
    from: number,
    limit: number,
  ): Promise<{ readonly keys: readonly unknown[]; readonly next: number }> {
    const page = await this.page(this.known(name), from, limit);
    if (page === undefined) throw this.missing(name);
    return page;
  }

  /** Every key of a keyspace in hash order, wherever its shard is when its turn comes. */
  async *keys(name: string): AsyncGenerator<Key, void, undefined> {
    const entry = this.entry(name);
    if (entry === undefined) throw this.missing(name);
    for (let from = 0; from < HASHES; ) {
      const page = await this.page(entry, from);
      if (page === undefined) throw this.missing(name);
      yield* page.keys as Key[];
      from = page.next;
    }
  }

  /** Runs a command on every key of a shard. */
  async commandOnAllKeys(shardName: string, argument: unknown, call: CallSettings): Promise<void> {
    const { shard } = this.shard(shardName);
    try {
      await this.core.command(shard.group, shardCommand.all(argument), call);
    } catch (error) {
      if (refusalOf(error) === undefined) throw error;
      throw this.noSuchShard(shardName);
    }
  }

  /**
   * Runs a command on every key of a keyspace: once on each that exists throughout, also while shards
   * split and merge. Shards are asked side by side, each for its part of the hash space; what one
   * does not own any more is asked of who does.
   */
  async commandOnKeyspace(name: string, argument: unknown, call: CallSettings): Promise<void> {
    const keyspace = this.known(name);
    const parts = keyspace.shards.map((shard) =>
      this.commandWithin(keyspace, shard, argument, call),
    );
    const outcomes = await Promise.allSettled(parts);
    const failed = outcomes.flatMap((it) => (it.status === "rejected" ? [asError(it.reason)] : []));
    const [error] = failed;
    if (error === undefined) return;
    const nothing = failed.length === parts.length;
    const untouched = nothing && failed.every(({ outcome }) => outcome === "not applied");
    throw withOutcome(error, untouched ? "not applied" : "unknown");
  }

  private async commandWithin(
    keyspace: KeyspaceEntry,
    { start, end }: HashRange,
    argument: unknown,
    call: CallSettings,
  ): Promise<void> {
    const { engine, client } = this.core;
    for (let from = start; from < end; ) {
      const hash = from;
      const route = () => {
        const group = engine.findGroup(keyspace.number, hash);
        return group === null ? undefined : groupRoute(group);
      };
      const first = route();
      if (first === undefined) throw partly(this.missing(keyspace.name), from > start);
      const command = shardCommand.allWithin(argument, { start: hash, end });
      const placed = { ...call, place: { hash, route } };
      try {
        const reply = (await client.command(first, NO_KEY, command, placed)) as ShardReply;
        if (reply.type !== "covered") throw new Error(`a shard answered with ${reply.type}`);
        from = reply.end;
      } catch (error) {
        throw partly(asError(error), from > start);
      }
    }
  }

  private async page(
    keyspace: KeyspaceEntry,
    from: number,
    limit: number = KEYS_PAGE,
  ): Promise<KeysReply | undefined> {
    const { core } = this;
    const end = performance.now() + PAGE_WAIT_MS;
    const request = encodeValue(shardRead.keys(from, limit));
    const target = { keyspace: keyspace.name };
    let group = core.engine.findGroup(keyspace.number, from);
    for (;;) {
      if (this.entry(keyspace.name)?.number !== keyspace.number) return undefined;
      if (group !== null) {
        const attempt = await core.reads.attempt(group, request, DEFAULT_CALL, end, target);
        const reply = typeof attempt === "object" ? attempt.result : undefined;
        if (reply instanceof EncodedResult) return decodeValue(reply.bytes) as KeysReply;
        if (reply instanceof Refusal && reply.group !== undefined && reply.group !== group) {
          group = reply.group;
          continue;
        }
      }
      core.checkOpen();
      if (performance.now() > end)
        throw callError("SHARD_TRANSITION_TIMEOUT", "not applied", target);
      await pause(SHARD_POLL_MS);
      group = core.engine.findGroup(keyspace.number, from);
    }
  }

  private information(
    shard: ShardEntry,
    leader: number,
    standing: ShardStanding | undefined,
  ): ShardInformation {
    const { name, start, end, group, statistics } = shard;
    const machine = this.core.host.replica(group)?.machine as ShardMachine | undefined;
    const counted = standing ?? machine?.statistics();
    const members = standing?.voters ?? this.core.fleet.groups.get(name)?.members ?? [];
    return {
      name,
      start,
      end,
      leader: leader === 0 ? null : this.core.nameOf(leader),
      members: members.map((node) => this.core.nameOf(node)),
      keys: counted?.keys ?? statistics?.keys ?? 0,
      size: counted?.size ?? statistics?.size ?? 0,
      load: statistics?.load ?? 0,
      state: standing?.state ?? machine?.statusName ?? "unknown",
      longestPause: this.pauses.of(name)?.max ?? 0,
    };
  }

  private entry(name: string): KeyspaceEntry | undefined {
    return this.ports.directory().keyspaces.get(name);
  }

  private known(name: string): KeyspaceEntry {
    const entry = this.entry(name);
    if (entry === undefined) throw this.missing(name);
    return entry;
  }

  private shard(name: string): { keyspace: KeyspaceEntry; shard: ShardEntry } {
    if (typeof name !== "string") {
      throw new RaftKVError("INVALID_ARGUMENT", "a shard's name is a string like kv_0");
    }
    for (const keyspace of this.ports.directory().keyspaces.values()) {
      const shard = keyspace.shards.find((known) => known.name === name);
      if (shard !== undefined) return { keyspace, shard };
    }
    throw this.noSuchShard(name);
  }

  private missing(keyspace: string): RaftKVError {
    const message = `there is no keyspace ${shown(keyspace)}; register it first`;
    return new RaftKVError("NO_SUCH_KEYSPACE", message, { keyspace, outcome: "not applied" });
  }

  private noSuchShard(shard: string): RaftKVError {
    const message = `there is no shard ${shown(shard)}; it may have been merged, look at shards() again`;
    return new RaftKVError("NO_SUCH_SHARD", message, { shard, outcome: "not applied" });
  }

  private lead(leading: boolean): void {
    if (leading === (this.executor !== undefined)) return;
    this.executor?.stop();
    this.executor = undefined;
    if (!leading) return;
    this.executor = new WorkflowExecutor(this.ports, this.core.settings, this.pauses);
    this.executor.start();
  }

  private shardApplied(shard: ShardMachine, name: string): void {
    const { keys, size, load } = shard.statistics();
    this.reporter.applied(shard.keyspace, name, keys, size, load);
  }

  private ownership() {
    const { workflowLockPeriod } = this.core.settings;
    return { node: this.core.nodeId, now: Date.now(), lockPeriod: workflowLockPeriod };
  }

  private async directory<C extends DirectoryCommand>(command: C): Promise<Success<C["type"]>> {
    const reply: DirectoryReply = await this.ports.command(command);
    if (reply.ok === false) {
      const name = "name" in command ? command.name : undefined;
      throw new RaftKVError(reply.code, reply.message, { keyspace: name, outcome: "not applied" });
    }
    return reply as Success<C["type"]>;
  }

  /** Waits until a leader answers for every shard of a keyspace. */
  private async served(name: string): Promise<void> {
    const { reads } = this.core;
    const end = performance.now() + leaderLimit(DEFAULT_CALL);
    const request = encodeValue(shardRead.status());
    const target = { keyspace: name };
    for (;;) {
      const entry = this.entry(name);
      if (entry === undefined) throw this.missing(name);
      const attempts = entry.shards.map(({ group }) =>
        reads.attempt(group, request, DEFAULT_CALL, end, target),
      );
      const answers = await Promise.all(attempts);
      if (answers.length > 0 && answers.every((it) => typeof it === "object")) return;
      this.core.checkOpen();
      if (performance.now() > end) throw callError("NO_LEADER", "not applied", { keyspace: name });
      await pause(SHARD_POLL_MS);
    }
  }

  private tell(event: WorkflowEvent): void {
    const { events } = this.core;
    if (event.type === "warning") {
      this.core.warn(event.message, event.keyspace);
      return;
    }
    const { type, keyspace, sender, receiver, pauseMs } = event;
    const done = type === "split" ? "split a shard" : "merged two shards";
    this.core.log("info", done, { keyspace, from: sender, to: receiver, pauseMs });
    events.emit(type, { keyspace, from: sender, to: receiver, pause: pauseMs ?? 0 });
  }
}

/** The error of a command that may have taken effect on other keys before. */
function partly(error: RaftKVError, begun: boolean): RaftKVError {
  return begun ? withOutcome(error, "unknown") : error;
}

const HASHES = 2 ** 27;
