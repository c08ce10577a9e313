/**
 * Queries of this node's callers on the keys of one keyspace.
 *
 * The usual case costs no message and no crossing: the key is in the node's index, its shard still
 * owns it, and the node holds the group's lease, read at this moment. Then everything that was
 * acknowledged before has been executed here. Otherwise the shard is looked for by hash, and the
 * query waits for a leader or for a transfer to end, as its options allow.
 */
import { type Key, keyIdentity, writeKey } from "../codec/key.ts";
import { copyValue, isPrimitive } from "../codec/value.ts";
import { Writer } from "../codec/writer.ts";
import type { RaftKVError } from "../errors.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import { Refusal } from "../machine/machine.ts";
import type { NativeEngine } from "../native/engine.ts";
import { findEntry, type KeyIndex, type ShardEntry } from "../shard/entry.ts";
import { ShardMachine } from "../shard/machine.ts";
import { type CallSettings, type CallTarget, callError, DEFAULT_CALL } from "./call.ts";
import { queryError } from "./failure.ts";
import { pause } from "./pause.ts";

/** How long a query waits before it looks again whether a transfer ended, in milliseconds. */
const TRANSFER_POLL_MS = 1;
/** How long a query waits before it looks again whether a leader appeared, in milliseconds. */
const LEADER_POLL_MS = 10;

/** What queries need to know of their keyspace on this node. */
export interface KeyspaceReplica {
  readonly name: string;
  /** The number that routes carry. */
  readonly number: number;
  readonly index: KeyIndex;
  /** Why the keyspace cannot be asked on this node, if so. */
  absence(): RaftKVError | undefined;
}

/** Queries of one keyspace, see the head of this file. */
export class Queries {
  private readonly host: Host;
  private readonly engine: NativeEngine;
  private readonly keyspace: KeyspaceReplica;
  private readonly target: CallTarget;
  private readonly writer = new Writer();

  constructor(host: Host, engine: NativeEngine, keyspace: KeyspaceReplica) {
    this.host = host;
    this.engine = engine;
    this.keyspace = keyspace;
    this.target = { keyspace: keyspace.name };
  }

  /** Answers a query on a key; `undefined` when the key does not exist. */
  query(key: unknown, argument: unknown, call: CallSettings = DEFAULT_CALL): Promise<unknown> {
    if (call.signal?.aborted)
      return Promise.reject(callError("ABORTED", "not applied", this.target));
    try {
      const entry = findEntry(this.keyspace.index, keyIdentity(key as Key));
      if (entry !== undefined) {
        const replica = this.host.replica(entry.shard.group);
        if (replica?.canRead()) return this.answer(entry, argument);
      }
      return this.find(key, argument, call);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private answer(entry: ShardEntry, argument: unknown): Promise<unknown> {
    const result = entry.shard.answer(
      entry,
      isPrimitive(argument) ? argument : copyValue(argument),
    );
    if (result instanceof Refusal) return Promise.reject(queryError(result, this.target));
    return Promise.resolve(result);
  }

  private async find(key: unknown, argument: unknown, call: CallSettings): Promise<unknown> {
    const { writer } = this;
    writer.reset();
    writeKey(writer, key);
    const found = this.engine.hashKey(
      this.keyspace.number,
      writer.bytes.subarray(0, writer.length),
    );
    const absence = this.keyspace.absence();
    if (absence !== undefined) throw absence;
    if (found === null) throw callError("NO_SUCH_SHARD", "not applied", this.target);
    const copied = isPrimitive(argument) ? argument : copyValue(argument);
    const identity = keyIdentity(key as Key);
    const started = performance.now();
    const leaderLimit = call.timeout + call.retry * (call.timeout + call.retryInterval);
    const transferLimit = call.timeout + call.shardLockRetry * call.shardLockRetryInterval;
    for (;;) {
      if (call.signal?.aborted) throw callError("ABORTED", "not applied", this.target);
      const shard = this.shardOf(found.hash, call);
      if (shard instanceof ShardMachine) {
        const entry = findEntry(this.keyspace.index, identity);
        if (entry?.shard === shard) return this.answer(entry, copied);
        shard.answerMissing();
        return undefined;
      }
      const waited = performance.now() - started;
      if (shard === "no leader" && waited > leaderLimit) {
        throw callError("NO_LEADER", "not applied", this.target);
      }
      if (shard === "transfer" && waited > transferLimit) {
        throw callError("SHARD_TRANSITION_TIMEOUT", "not applied", this.target);
      }
      await pause(shard === "transfer" ? TRANSFER_POLL_MS : LEADER_POLL_MS, call.signal);
      const gone = this.keyspace.absence();
      if (gone !== undefined) throw gone;
    }
  }

  /** The shard that owns a hash and may answer here now, or what has to be waited for. */
  private shardOf(hash: number, call: CallSettings): ShardMachine | "no leader" | "transfer" {
    let group = this.engine.findGroup(this.keyspace.number, hash);
    for (let hops = 0; group !== null && hops < 4; hops++) {
      const replica: Replica | undefined = this.host.replica(group);
      if (replica === undefined) return "transfer";
      const shard = replica.machine;
      if (!(shard instanceof ShardMachine)) return "transfer";
      if (call.consistency !== "stale" && !replica.canRead()) return "no leader";
      if (shard.owns(hash)) return shard;
      group = shard.movedTo(hash);
    }
    return "transfer";
  }
}
