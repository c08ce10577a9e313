/** One keyspace, with the types of its module. */
import type { ShardInformation } from "../admin/types.ts";
import { type CallSettings, DEFAULT_CALL } from "../client/call.ts";
import type { Key } from "../codec/key.ts";
import { RaftKVError } from "../errors.ts";
import type { LocalKeyspace } from "./keyspaces.ts";
import type { NodeLifecycle } from "./lifecycle.ts";
import { type CallOptions, checkKeyspaceName, resolveCallOptions } from "./options.ts";
import { type CallTrace, COMMAND_TRACES, QUERY_TRACES } from "./traces.ts";

/** A keyspace of this node. */
export class Keyspace<K, Command, Ret, Query, QueryRet> {
  /** The keyspace's name. */
  readonly name: string;
  private readonly lifecycle: NodeLifecycle;
  private local: LocalKeyspace | undefined;
  private owner: object | undefined;

  /** @internal made by `openKeyspace`, `registerKeyspace` and `bindKeyspace` */
  constructor(name: string, lifecycle: NodeLifecycle) {
    this.name = name;
    this.lifecycle = lifecycle;
  }

  /** Runs a command on the value of one key; see `RaftKV.command`. */
  command(key: K, arg: Command, options?: CallOptions): Promise<Ret> {
    try {
      const call = options === undefined ? DEFAULT_CALL : resolveCallOptions(options);
      if (!COMMAND_TRACES.heard) return this.send(key, arg, call);
      return COMMAND_TRACES.run(this.trace(key, arg), call, (it) => this.send(key, arg, it));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Asks the value of one key; see `RaftKV.query`. */
  query(key: K, arg: Query, options?: CallOptions): Promise<QueryRet | undefined> {
    try {
      const call: CallSettings = options === undefined ? DEFAULT_CALL : resolveCallOptions(options);
      if (!QUERY_TRACES.heard) return this.ask(key, arg, call);
      return QUERY_TRACES.run(this.trace(key, arg), call, (it) => this.ask(key, arg, it));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private send(key: K, arg: Command, call: CallSettings): Promise<Ret> {
    const { number } = this.find();
    return this.lifecycle.core().client.command(number, key, arg, call) as Promise<Ret>;
  }

  private ask(key: K, arg: Query, call: CallSettings): Promise<QueryRet | undefined> {
    return this.find().queries.query(key, arg, call) as Promise<QueryRet | undefined>;
  }

  private trace(key: unknown, argument: unknown): CallTrace {
    return this.lifecycle.trace({ keyspace: this.name }, key, argument);
  }

  /** Every key; see `RaftKV.keys`. */
  async *keys(): AsyncGenerator<K & Key, void, undefined> {
    const service = await this.lifecycle.service();
    this.find();
    yield* service.keys(this.name) as AsyncGenerator<K & Key, void, undefined>;
  }

  /** What is known of the keyspace's shards, in ascending order of their ranges. */
  async shards(): Promise<ShardInformation[]> {
    const service = await this.lifecycle.service();
    this.find();
    return service.shards(this.name);
  }

  /**
   * Runs a command on every key, one log entry per shard; what it returns is dropped. A key that
   * exists throughout is met exactly once, also while shards split and merge. An error whose
   * `outcome` is "unknown" may have come when some of the keys had been met.
   */
  async commandOnAllKeys(arg: Command, options?: CallOptions): Promise<void> {
    const service = await this.lifecycle.service();
    this.find();
    const call = resolveCallOptions(options);
    await service.commandOnKeyspace(this.name, arg, call);
  }

  /** The keyspace on the active node, once it can be called. */
  private find(): LocalKeyspace {
    const keyspaces = this.lifecycle.keyspaces();
    if (this.local !== undefined && this.owner === keyspaces && this.local.number >= 0) {
      return this.local;
    }
    checkKeyspaceName(this.name);
    if (keyspaces.directory === undefined) {
      throw new RaftKVError("NOT_ACTIVE", "call RaftKV.init() first", { outcome: "not applied" });
    }
    const local = keyspaces.get(this.name);
    if (local.number < 0) {
      throw (
        local.absence() ??
        new RaftKVError("NO_SUCH_KEYSPACE", `there is no keyspace ${this.name}`, {
          keyspace: this.name,
          outcome: "not applied",
        })
      );
    }
    this.local = local;
    this.owner = keyspaces;
    return local;
  }
}
