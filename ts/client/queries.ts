/**
 * Queries of this node's callers on the keys of one keyspace.
 *
 * The usual case costs no message and no crossing: the key is in the node's index, its shard still
 * owns it, and the node holds the group's lease, read at this moment. Then everything that was
 * acknowledged before has been executed here. Otherwise the shard is looked for by hash, the query
 * goes to its leader wherever that is, and waits for one or for a transfer to end, as its options
 * allow.
 */
import { type Key, keyIdentity, writeKey } from "../codec/key.ts";
import { copyValue, encodeValue, isPrimitive } from "../codec/value.ts";
import { Writer } from "../codec/writer.ts";
import type { RaftKVError } from "../errors.ts";
import type { Host } from "../host/host.ts";
import { type Replica, resultValue } from "../host/replica.ts";
import { MOVES_MAX } from "../limits.ts";
import { Refusal } from "../machine/machine.ts";
import { Histogram, QUERY_BUCKETS } from "../metrics/histogram.ts";
import type { KeyHash, NativeEngine } from "../native/engine.ts";
import { findEntry, type KeyIndex, type ShardEntry } from "../shard/entry.ts";
import { ShardMachine } from "../shard/machine.ts";
import { shardRead } from "../shard/requests.ts";
import { type CallSettings, type CallTarget, callError, DEFAULT_CALL } from "./call.ts";
import { commandError, queryError } from "./failure.ts";
import { pause } from "./pause.ts";
import { isServing } from "./read-calls.ts";
import { leaderLimit, type Miss, type Reads } from "./reads.ts";

/** How long a query waits before it looks again whether a transfer ended, in milliseconds. */
const TRANSFER_POLL_MS = 1;
/** How often a query follows its key among the shards of this node before it asks around. */
const HOPS_MAX = 4;

/** Of so many queries the duration of one is taken: a clock costs as much as an answer. */
const TIMED_EVERY = 64;

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
  /** How many queries were made. */
  asked = 0;
  /** How long some of them took. */
  readonly durations = new Histogram(QUERY_BUCKETS);
  private readonly host: Host;
  private readonly engine: NativeEngine;
  private readonly reads: Reads;
  private readonly keyspace: KeyspaceReplica;
  private readonly target: CallTarget;
  private readonly writer = new Writer();

  constructor(host: Host, engine: NativeEngine, reads: Reads, keyspace: KeyspaceReplica) {
    this.host = host;
    this.engine = engine;
    this.reads = reads;
    this.keyspace = keyspace;
    this.target = { keyspace: keyspace.name };
  }

  /** Answers a query on a key; `undefined` when the key does not exist. */
  query(key: unknown, argument: unknown, call: CallSettings = DEFAULT_CALL): Promise<unknown> {
    this.asked++;
    return this.asked % TIMED_EVERY === 0
      ? this.timed(key, argument, call)
      : this.ask(key, argument, call);
  }

  /** By itself: what its callback captures would be allocated for every query otherwise. */
  private timed(key: unknown, argument: unknown, call: CallSettings): Promise<unknown> {
    const start = performance.now();
    const answer = this.ask(key, argument, call);
    const done = () => this.durations.observe(performance.now() - start);
    answer.then(done, done);
    return answer;
  }

  private ask(key: unknown, argument: unknown, call: CallSettings): Promise<unknown> {
    if (call.signal?.aborted)
      return Promise.reject(callError("ABORTED", "not applied", this.target));
    try {
      const entry = findEntry(this.keyspace.index, keyIdentity(key as Key));
      if (entry !== undefined) {
        if (entry.shard.gate?.canRead()) return this.answer(entry, argument);
        // Behind or not, what is known of the key here says whom to ask, without a crossing.
        if (call.consistency !== "stale") {
          const { hash, shard } = entry;
          return this.seek(hash, requestOf(key, entry, argument), call, shard.group);
        }
      }
      return this.find(key, argument, call);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** What the key's shard stores under it, without the module's code: a `ValueReply`. */
  async stored(
    key: unknown,
    call: CallSettings = DEFAULT_CALL,
  ): Promise<{ readonly hash: number; readonly reply: unknown }> {
    const { number } = this.keyspace;
    const writer = new Writer();
    writeKey(writer, key);
    const found = this.engine.hashKey(number, writer.bytes.subarray(0, writer.length));
    if (found === null) {
      throw this.keyspace.absence() ?? callError("NO_SUCH_SHARD", "not applied", this.target);
    }
    const { hash, fingerprint } = found;
    const request = encodeValue(shardRead.value(key, hash, fingerprint));
    const reply = await this.seek(hash, request, call, this.engine.findGroup(number, hash));
    return { hash, reply };
  }

  private answer(entry: ShardEntry, argument: unknown): Promise<unknown> {
    const result = entry.shard.answer(
      entry,
      isPrimitive(argument) ? argument : copyValue(argument),
    );
    if (result instanceof Refusal) return Promise.reject(queryError(result, this.target));
    return Promise.resolve(result);
  }

  /** Looks for the key's shard by hash, here first. What is sent is taken before the first wait. */
  private find(key: unknown, argument: unknown, call: CallSettings): Promise<unknown> {
    const { writer } = this;
    writer.reset();
    writeKey(writer, key);
    const found = this.engine.hashKey(
      this.keyspace.number,
      writer.bytes.subarray(0, writer.length),
    );
    if (found === null) {
      throw this.keyspace.absence() ?? callError("NO_SUCH_SHARD", "not applied", this.target);
    }
    const group = this.engine.findGroup(this.keyspace.number, found.hash);
    const shard = this.shardHere(group, found.hash, call);
    if (shard !== undefined && this.keyspace.absence() === undefined) {
      const entry = findEntry(this.keyspace.index, keyIdentity(key as Key));
      if (entry?.shard === shard) return this.answer(entry, argument);
      if (!isPrimitive(argument)) copyValue(argument);
      shard.answerMissing();
      return Promise.resolve(undefined);
    }
    return this.seek(found.hash, requestOf(key, found, argument), call, group);
  }

  /** Sends the query to the leader of a shard, which is `first`, and after the key while that moves. */
  private async seek(
    hash: number,
    request: Uint8Array,
    call: CallSettings,
    first: number | null,
  ): Promise<unknown> {
    const { reads, target } = this;
    const until = performance.now() + leaderLimit(call);
    const transferLimit = call.timeout + call.shardLockRetry * call.shardLockRetryInterval;
    let settings = call;
    let transferSince: number | undefined;
    let moved = first ?? undefined;
    let moves = 0;
    let sent = 0;
    for (;;) {
      reads.checkOpen();
      this.checkCallable(hash);
      const group = moved ?? this.engine.findGroup(this.keyspace.number, hash);
      moved = undefined;
      let miss: Miss | "transfer" = "transfer";
      if (call.trace !== undefined && sent++ > 0) call.trace.attempts++;
      if (group !== null && reads.isReachable(group)) {
        const attempt = await reads.attempt(group, request, settings, until, target);
        if (typeof attempt === "string") {
          miss = attempt;
        } else if (!(attempt.result instanceof Refusal)) {
          return resultValue(attempt.result);
        } else {
          moved = this.followed(attempt.result);
          // A replica that is behind knows an older place than the leader does.
          settings = { ...call, consistency: "linearizable" };
          if (moved !== undefined && moves++ < MOVES_MAX) continue;
        }
      } else if (call.signal?.aborted) {
        throw callError("ABORTED", "not applied", target);
      }
      const now = performance.now();
      if (miss !== "transfer") {
        transferSince = undefined;
        await reads.wait(group as number, until, call, miss, target);
        continue;
      }
      moves = 0;
      transferSince ??= now;
      if (now - transferSince > transferLimit) {
        throw callError("SHARD_TRANSITION_TIMEOUT", "not applied", target);
      }
      await pause(TRANSFER_POLL_MS, call.signal);
    }
  }

  /** Where to ask instead; `undefined`: later. @throws what the caller's code failed with */
  private followed(refusal: Refusal): number | undefined {
    switch (refusal.code) {
      case "MOVED":
        return refusal.group;
      case "BELOW_RANGE":
      case "ABOVE_RANGE":
      case "NOT_YET":
        return undefined;
      case "QUERY_FAILED":
        throw queryError(refusal, this.target);
      default:
        throw commandError(refusal, this.target);
    }
  }

  /** Code that is not bound here matters only where nobody else can be asked. */
  private checkCallable(hash: number): void {
    const absence = this.keyspace.absence();
    if (absence === undefined) return;
    const group = this.engine.findGroup(this.keyspace.number, hash);
    const isElsewhere = group !== null && this.reads.isElsewhere(group);
    if (absence.code !== "MODULE_NOT_BOUND" || !isElsewhere) throw absence;
  }

  /** The shard of this node that owns a hash and may answer now; `first` is where to look first. */
  private shardHere(
    first: number | null,
    hash: number,
    call: CallSettings,
  ): ShardMachine | undefined {
    let group = first;
    for (let hops = 0; group !== null && hops < HOPS_MAX; hops++) {
      const replica: Replica | undefined = this.host.replica(group);
      const shard = replica?.machine;
      if (replica === undefined || !(shard instanceof ShardMachine)) return undefined;
      const isStale = call.consistency === "stale" && isServing(replica);
      if (!isStale && !replica.canRead()) return undefined;
      if (shard.owns(hash)) return shard;
      group = shard.movedTo(hash);
    }
    return undefined;
  }
}

function requestOf(key: unknown, { hash, fingerprint }: KeyHash, argument: unknown): Uint8Array {
  try {
    return encodeValue(shardRead.answer(key, hash, fingerprint, argument));
  } catch (error) {
    // By itself it fails with an error that names the part as the caller knows it.
    copyValue(argument);
    throw error;
  }
}
