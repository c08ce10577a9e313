/** The functions of `RaftKV`: keyspaces, and commands and queries on their keys. */
import type { ShardInformation } from "../admin/types.ts";
import type { Key } from "../codec/key.ts";
import { RaftKVError } from "../errors.ts";
import type { SplitMergePolicy, SplitMergePolicyInput } from "../policy.ts";
import type { LeaderHook, ValuePerKey } from "../shard/module.ts";
import type { RaftKVEventEmitter } from "./events.ts";
import { Keyspace } from "./keyspace.ts";
import type { NodeLifecycle } from "./lifecycle.ts";
import {
  type CallOptions,
  checkKeyspaceName,
  checkModule,
  checkPolicy,
  checkRaftOptions,
  resolveCallOptions,
} from "./options.ts";

/** A policy, or its fields. */
export type Policy = SplitMergePolicy | SplitMergePolicyInput;

/** How the Raft groups of a keyspace's shards are set up. */
export interface RaftOptions {
  /** Replicas of each shard, 3 by default; while there are fewer nodes, as many as there are. */
  readonly replicas?: number;
  /**
   * Runs each command twice on the node that leads the key's shard, the second time on copies, and
   * gives a `warning` (`NOT_DETERMINISTIC`) when it came out differently; the first outcome counts.
   * For development: commands cost about three times as much. It is this program's own choice and
   * not kept with the keyspace. Default false.
   */
  readonly checkDeterminism?: boolean;
}

/** See the head of this file. Every function rejects with a `RaftKVError`. */
export class RaftKVFunctions {
  private readonly lifecycle: NodeLifecycle;
  private readonly opened = new Map<string, Keyspace<Key, unknown, unknown, unknown, unknown>>();

  constructor(lifecycle: NodeLifecycle) {
    this.lifecycle = lifecycle;
  }

  /** What this node tells its program without being asked. */
  get events(): RaftKVEventEmitter {
    return this.lifecycle.events;
  }

  /** Joins this node to the keyspaces directory. Idempotent. @throws `NOT_ACTIVE` */
  async init(): Promise<void> {
    await this.lifecycle.init();
  }

  /**
   * Adds a keyspace: one shard that owns the whole hash range.
   *
   * @param name - a keyspace name: letters, digits, `_`, `.`, `-`
   * @param module - what commands and queries do to the value of one key
   * @param hook - side effects on the node that leads a shard, or `null`
   * @param policy - when shards are split and merged
   * @returns the keyspace, typed as its module, once it serves
   * @throws `INVALID_POLICY`, `ALREADY_REGISTERED`, `INVALID_KEYSPACE_NAME`, `INVALID_MODULE`,
   * `NOT_ACTIVE`
   */
  async registerKeyspace<Value, K, Command, Ret, Query, QueryRet>(
    name: string,
    module: ValuePerKey<Value, K, Command, Ret, Query, QueryRet>,
    hook: LeaderHook<Value, K, Command, Ret, Query, QueryRet> | null,
    policy: Policy,
    raftOptions?: RaftOptions,
  ): Promise<Keyspace<K, Command, Ret, Query, QueryRet>> {
    const { service, fields } = await this.prepare(name, module, hook, policy, raftOptions);
    await service.register(name, fields, raftOptions);
    return new Keyspace(name, this.lifecycle);
  }

  /**
   * Binds this node's code to a keyspace and registers the keyspace where that was not done yet:
   * what every node of a service calls at its start. The policy counts at registration only; later
   * `setKeyspacePolicy` changes it.
   */
  async openKeyspace<Value, K, Command, Ret, Query, QueryRet>(
    name: string,
    module: ValuePerKey<Value, K, Command, Ret, Query, QueryRet>,
    hook: LeaderHook<Value, K, Command, Ret, Query, QueryRet> | null,
    policy: Policy,
    raftOptions?: RaftOptions,
  ): Promise<Keyspace<K, Command, Ret, Query, QueryRet>> {
    const { service, fields } = await this.prepare(name, module, hook, policy, raftOptions);
    await service.registerIfMissing(name, fields, raftOptions);
    return new Keyspace(name, this.lifecycle);
  }

  /** Binds this node's code to a keyspace, registered or not. Of the options, `replicas` is unused. */
  async bindKeyspace<Value, K, Command, Ret, Query, QueryRet>(
    name: string,
    module: ValuePerKey<Value, K, Command, Ret, Query, QueryRet>,
    hook: LeaderHook<Value, K, Command, Ret, Query, QueryRet> | null = null,
    options?: RaftOptions,
  ): Promise<Keyspace<K, Command, Ret, Query, QueryRet>> {
    checkKeyspaceName(name);
    checkModule(module, hook);
    checkRaftOptions(options);
    await this.bind(name, module, hook, options);
    return new Keyspace(name, this.lifecycle);
  }

  /** Removes a keyspace with its data. @throws `NO_SUCH_KEYSPACE` */
  async deregisterKeyspace(name: string): Promise<void> {
    const service = await this.lifecycle.service();
    checkKeyspaceName(name);
    await service.deregister(name);
  }

  /** The names of all keyspaces, sorted. */
  async listKeyspaces(): Promise<string[]> {
    return (await this.lifecycle.service()).names();
  }

  /** A keyspace's policy, or `null` when there is no such keyspace. */
  async getKeyspacePolicy(name: string): Promise<SplitMergePolicy | null> {
    const service = await this.lifecycle.service();
    checkKeyspaceName(name);
    return service.policy(name);
  }

  /** Replaces a keyspace's policy. @throws `INVALID_POLICY`, `NO_SUCH_KEYSPACE` */
  async setKeyspacePolicy(name: string, policy: Policy): Promise<void> {
    const service = await this.lifecycle.service();
    checkKeyspaceName(name);
    await service.setPolicy(name, checkPolicy(policy));
  }

  /**
   * Runs a command on the value of one key: linearizable, durable, applied exactly once.
   *
   * @returns the `ret` of the module's `command`
   * @throws `COMMAND_FAILED` when the module's code threw; `DATA_CLONE`, `INVALID_KEY` at once;
   * `NO_LEADER`, `TIMEOUT`, `SHARD_TRANSITION_TIMEOUT`, `OVERLOADED`, `ABORTED`: see `outcome`
   */
  command(keyspace: string, key: Key, arg: unknown, options?: CallOptions): Promise<unknown> {
    return this.keyspace(keyspace).command(key, arg, options);
  }

  /**
   * Asks the value of one key, without changing it. Linearizable, unless `consistency` is "stale".
   *
   * @returns the `ret` of the module's `query`; `undefined` when the key does not exist
   * @throws `QUERY_FAILED` when the module's code threw, and as `command`
   */
  query(keyspace: string, key: Key, arg: unknown, options?: CallOptions): Promise<unknown> {
    return this.keyspace(keyspace).query(key, arg, options);
  }

  /** Folds over the names of a keyspace's shards, in ascending order of their ranges. */
  async reduceKeyspaceShardNames<Accumulator>(
    keyspace: string,
    initial: Accumulator,
    reducer: (name: string, accumulated: Accumulator) => Accumulator,
  ): Promise<Accumulator> {
    const service = await this.lifecycle.service();
    checkKeyspaceName(keyspace);
    if (typeof reducer !== "function") {
      throw new RaftKVError("INVALID_ARGUMENT", "the third argument must be a function");
    }
    let accumulated = initial;
    for (const name of service.shardNames(keyspace)) {
      try {
        accumulated = reducer(name, accumulated);
      } catch (cause) {
        throw new RaftKVError("INVALID_ARGUMENT", `the reducer threw at shard ${name}`, { cause });
      }
    }
    return accumulated;
  }

  /** All keys of one shard. @throws `NO_SUCH_SHARD` */
  async listKeysInShard(shard: string): Promise<Key[]> {
    return (await this.lifecycle.service()).keysInShard(shard);
  }

  /**
   * Runs a command on every key of one shard: one log entry; what it returns for each key is
   * dropped. @throws `NO_SUCH_SHARD`, and as `command`
   */
  async commandOnAllKeysInShard(shard: string, arg: unknown, options?: CallOptions): Promise<void> {
    const service = await this.lifecycle.service();
    await service.commandOnAllKeys(shard, arg, resolveCallOptions(options));
  }

  /**
   * Every key of a keyspace: each at least once, and a key that exists throughout exactly once,
   * also while shards split and merge.
   */
  keys(keyspace: string): AsyncIterable<Key> {
    return this.keyspace(keyspace).keys();
  }

  /** What is known of a keyspace's shards, in ascending order of their ranges. */
  shards(keyspace: string): Promise<ShardInformation[]> {
    return this.keyspace(keyspace).shards();
  }

  private keyspace(name: string): Keyspace<Key, unknown, unknown, unknown, unknown> {
    const known = this.opened.get(name);
    if (known !== undefined) return known;
    const keyspace = new Keyspace<Key, unknown, unknown, unknown, unknown>(name, this.lifecycle);
    if (typeof name === "string") this.opened.set(name, keyspace);
    return keyspace;
  }

  /** Judges what a keyspace is registered with, and binds its code. */
  private async prepare(
    name: string,
    module: unknown,
    hook: unknown,
    policy: Policy,
    raftOptions: RaftOptions | undefined,
  ) {
    const service = await this.lifecycle.service();
    checkKeyspaceName(name);
    checkModule(module, hook);
    const fields = checkPolicy(policy);
    checkRaftOptions(raftOptions);
    await this.bind(name, module, hook, raftOptions);
    return { service, fields };
  }

  private async bind(
    name: string,
    module: unknown,
    hook: unknown,
    options: RaftOptions | undefined,
  ): Promise<void> {
    const keyspaces = this.lifecycle.keyspaces();
    const isChecked = options?.checkDeterminism === true;
    await keyspaces.bind(name, module as ValuePerKey, hook as LeaderHook | null, isChecked);
  }
}
