/**
 * The replicated state machine of one shard: the values of the keys whose hash is in a range.
 *
 * It applies commands on one key, on all keys, and the steps of a range transfer; answers queries
 * and reads; writes and restores snapshots. It is pure but for what is said to be local to the node
 * (load, observer). Nothing that a command, a query or user code contains makes it throw.
 */
import { decodeValue, encodeValue, isPrimitive } from "../codec/index.ts";
import { GARBAGE_PER_COMMAND } from "../limits.ts";
import type {
  ChecksumPass,
  Command,
  EntryContext,
  PARKED,
  ReadGate,
  Result,
  RetainedResults,
  SnapshotWriter,
  StateMachine,
} from "../machine/machine.ts";
import { EncodedResult, Refusal } from "../machine/machine.ts";
import { answerQuery } from "./answer.ts";
import { ShardChecksum } from "./checksum.ts";
import type { CommandCheck } from "./command.ts";
import { describeThrown } from "./describe.ts";
import type { KeyIdentity, KeyIndex, ShardEntry } from "./entry.ts";
import { commandLength, Executor } from "./execute.ts";
import { applyKeyless } from "./keyless.ts";
import type { ValuePerKey } from "./module.ts";
import type { ShardObserver } from "./observer.ts";
import { OwnedEntries } from "./owned-entries.ts";
import { isReceivingHash, movedTo, outsideRefusal } from "./ownership.ts";
import { answerRead } from "./reads.ts";
import type { StatisticsReply } from "./requests.ts";
import { ShardSnapshotReader, ShardSnapshotWriter } from "./snapshot.ts";
import { ShardState } from "./state.ts";
import type { HashRange, ShardStatus } from "./status.ts";

/** What a shard is made of. */
export interface ShardOptions {
  readonly keyspace: string;
  readonly group: number;
  readonly module: ValuePerKey;
  /** The key index of the keyspace on this node. */
  readonly index: KeyIndex;
  /** The first owned range; `null` for the receiver of a split. */
  readonly range: HashRange | null;
  /** The retry results of the shard's group. */
  readonly retained: RetainedResults;
  readonly observer?: ShardObserver;
}

/** A shard, see the head of this file. */
export class ShardMachine implements StateMachine {
  readonly keyspace: string;
  readonly group: number;
  /** What a query to a missing key counts: the keyspace's policy says so. */
  loadPerQueryToMissingKey = 0;
  gate: ReadGate | null = null;
  private state: ShardState;
  private reader: ShardSnapshotReader | null = null;
  private readonly module: ValuePerKey;
  private readonly executor: Executor;

  constructor(options: ShardOptions) {
    const { keyspace, group, module, index, range, retained, observer } = options;
    this.keyspace = keyspace;
    this.group = group;
    this.module = module;
    this.executor = new Executor(keyspace, module, observer ?? null);
    this.state = new ShardState(this, keyspace, group, index, range, retained);
  }

  /** Who is told of what happens; set while this node leads the shard, `null` else. */
  get observer(): ShardObserver | null {
    return this.executor.observer;
  }

  set observer(observer: ShardObserver | null) {
    this.executor.observer = observer;
  }

  /** Runs commands twice, to see whether they are pure; set while this node leads, if at all. */
  set check(check: CommandCheck | null) {
    this.executor.check = check;
  }

  /** Does the shard own the hash now? */
  owns(hash: number): boolean {
    const { state } = this;
    return hash >= state.start && hash < state.end;
  }

  /** The owned range; empty when nothing is owned. */
  get range(): HashRange {
    return { start: this.state.start, end: this.state.end };
  }

  /** Why the shard does not answer for a hash that it does not own. */
  refusalFor(hash: number): Refusal {
    return outsideRefusal(this.state, hash);
  }

  /** The group that a hash was handed over to, as far as the shard still knows; else `null`. */
  movedTo(hash: number): number | null {
    return movedTo(this.state, hash);
  }

  /** What the shard is in, by name. */
  get statusName(): ShardStatus["type"] {
    return this.state.status.type;
  }

  apply(command: Command, context: EntryContext): Result | typeof PARKED {
    const { state } = this;
    if (!state.garbage.isEmpty) state.garbage.clear(GARBAGE_PER_COMMAND);
    if (state.parking.count > 0) state.parking.expire(context);
    if (command.keyStart === command.argumentStart) {
      return applyKeyless(state, this.executor, command, context);
    }
    const { hash } = command;
    if (hash >= state.start && hash < state.end) {
      const { retained } = state;
      if (retained.turnedAway > 0 && retained.isBehind(command)) return behind();
      return this.executor.keyed(state, command, context);
    }
    return isReceivingHash(state, hash)
      ? this.park(command, context.now)
      : outsideRefusal(state, hash);
  }

  /** Answers a query from an entry that `findEntry` gave: its result or a refusal. */
  answer(entry: ShardEntry, argument: unknown): unknown {
    return answerQuery(
      this.keyspace,
      this.module,
      this.state,
      entry,
      argument,
      this.executor.observer,
    );
  }

  /** Counts a query to an owned key that does not exist. */
  answerMissing(): undefined {
    this.state.load += this.loadPerQueryToMissingKey;
  }

  /** The entry of a key by its hash, for callers that have it; owned entries with a value only. */
  find(hash: number, fingerprint: number, identity: KeyIdentity): ShardEntry | undefined {
    if (!this.owns(hash)) return undefined;
    const entry = this.state.table.find(hash, fingerprint | 0, identity);
    return entry === undefined || entry.value === undefined ? undefined : entry;
  }

  /** The load counted on this node since this was last called. */
  takeLoad(): number {
    const { load } = this.state;
    this.state.load = 0;
    return load;
  }

  /** Keys and size of the owned range, and the load counted since it was last taken. */
  statistics(): StatisticsReply {
    const { keys, size, load } = this.state;
    return { type: "statistics", keys, size, load };
  }

  query(request: Uint8Array): Result {
    try {
      const reply = answerRead(this, this.state, decodeValue(request));
      if (reply instanceof Refusal) return reply;
      return isPrimitive(reply) ? (reply as Result) : new EncodedResult(encodeValue(reply));
    } catch (thrown) {
      return new Refusal("REJECTED", `the request cannot be read: ${describeThrown(thrown)}`);
    }
  }

  snapshot(): SnapshotWriter {
    return new ShardSnapshotWriter(this.state);
  }

  /** Begins to write the owned entries with a hash from here on; refuses one that is not owned. */
  ownedEntries(from: number, pieceBytes?: number): OwnedEntries | Refusal {
    if (!this.owns(from)) return outsideRefusal(this.state, from);
    return new OwnedEntries(this.state, from, pieceBytes);
  }

  reset(): void {
    const { keyspace, group, index, retained } = this.state;
    this.close();
    this.state = new ShardState(this, keyspace, group, index, null, retained);
    this.reader = new ShardSnapshotReader(this.state);
  }

  restore(piece: Uint8Array): void {
    this.reader?.read(piece);
  }

  restored(): void {
    this.reader?.finish();
    this.reader = null;
  }

  /** Takes all entries out of the key index: the node hosts the shard no longer. */
  close(): void {
    this.state.drop(0, Number.POSITIVE_INFINITY);
    this.state.garbage.clear();
  }

  checksum(): ChecksumPass {
    return new ShardChecksum(this.state);
  }

  private park(command: Command, now: number): Refusal | typeof PARKED {
    try {
      return this.state.parking.park(command, commandLength(command), now);
    } catch (thrown) {
      return new Refusal("REJECTED", `the command cannot be read: ${describeThrown(thrown)}`);
    }
  }
}

function behind(): Refusal {
  return new Refusal("NOT_YET", "an earlier command on the key was turned away; ask again later");
}
