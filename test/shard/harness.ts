/**
 * One group as a host runs it: a shard machine with its sessions and its log, without any engine.
 */
import {
  decodeValue,
  encodeValue,
  keyIdentity,
  Writer,
  writeKey,
  writeValue,
} from "../../ts/codec/index.ts";
import {
  type Command,
  EncodedResult,
  type EntryContext,
  PARKED,
  Refusal,
  type Result,
  type StateMachine,
} from "../../ts/machine/machine.ts";
import { Sessions } from "../../ts/machine/sessions.ts";
import { findEntry, type KeyIndex } from "../../ts/shard/entry.ts";
import { ShardMachine } from "../../ts/shard/machine.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import type { ShardObserver } from "../../ts/shard/observer.ts";
import type {
  ShardCommand,
  ShardRead,
  ShardReadReply,
  ShardReply,
} from "../../ts/shard/requests.ts";
import type { HashRange } from "../../ts/shard/status.ts";

export const END = 2 ** 27;

export interface Sent {
  readonly node: number;
  readonly incarnation: number;
  readonly request: number;
  readonly batch: number;
  readonly acknowledged: number;
  readonly retry: boolean;
  /** `undefined` for a command without a key. */
  readonly key?: string | number | bigint | boolean | readonly unknown[] | Uint8Array;
  readonly hash: number;
  readonly argument: unknown;
}

interface LogEntry {
  readonly index: number;
  readonly now: number;
  readonly sent: Sent;
}

export type Answered = Result | typeof PARKED;

/** A hash for tests that do not choose one. */
export function hashOf(key: unknown): number {
  let hash = 0x811c9dc5;
  for (const character of `${typeof key}${String(key)}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  }
  return ((hash ^ (hash >>> 13)) >>> 0) % END;
}

/** Bits of a key beside its hash. */
export function fingerprintOf(key: unknown): number {
  return Math.imul(hashOf(String(key)), 0x9e3779b1) >>> 0;
}

/** The checksum of a machine's present state. */
export function digestOf(machine: Pick<StateMachine, "checksum">): string {
  const pass = machine.checksum();
  for (;;) {
    const checksum = pass.next(Number.POSITIVE_INFINITY);
    if (checksum !== null) return checksum;
  }
}

export class Group {
  readonly machine: ShardMachine;
  readonly sessions = new Sessions();
  readonly log: LogEntry[] = [];
  readonly settled: { request: number; result: Result }[] = [];
  now = 1_000;
  private index: number;
  private own = 0;
  /** Request numbers are unique within a session, so each group's own commands have their own. */
  private readonly ownSession: { readonly node: number; readonly incarnation: number };

  readonly group: number;
  readonly module: ValuePerKey;
  readonly keyIndex: KeyIndex;

  constructor(
    group: number,
    module: ValuePerKey,
    range: HashRange | null,
    keyIndex: KeyIndex = new Map(),
    observer?: ShardObserver,
    firstIndex = 0,
  ) {
    this.group = group;
    this.ownSession = { node: 900 + group, incarnation: 1 };
    this.module = module;
    this.keyIndex = keyIndex;
    this.index = firstIndex;
    const retained = this.sessions;
    const common = {
      keyspace: "ks",
      group,
      module: this.module,
      index: keyIndex,
      range,
      retained,
    };
    this.machine = new ShardMachine(observer === undefined ? common : { ...common, observer });
  }

  /** Appends a command to the log and applies it. */
  commit(sent: Sent, now = ++this.now): Answered {
    const entry = { index: ++this.index, now, sent };
    this.log.push(entry);
    return this.applyEntry(entry);
  }

  applyEntry({ index, now, sent }: LogEntry): Answered {
    this.index = index;
    this.now = now;
    const batch = this.sessions.begin(
      sent.node,
      sent.incarnation,
      sent.batch,
      sent.acknowledged,
      1,
    );
    if (batch === null) return new Refusal("STALE", "late");
    if (sent.retry) {
      const known = this.sessions.find(sent.node, sent.incarnation, sent.request);
      if (known !== undefined) return known.result;
    }
    if (this.sessions.isOver(sent)) return new Refusal("STALE", "settled");
    const result = this.machine.apply(commandOf(sent), this.context(index, now));
    if (result === PARKED) this.sessions.park(batch, sent.request, sent.hash);
    else this.sessions.retain(batch, sent.request, sent.hash, result);
    return result;
  }

  /** A command without a key from the directory. */
  tell(command: ShardCommand): ShardReply | Refusal {
    const result = this.commit({
      ...this.ownSession,
      request: ++this.own,
      batch: this.own,
      acknowledged: this.own,
      retry: false,
      hash: 0,
      argument: command,
    });
    if (result instanceof EncodedResult) return decodeValue(result.bytes) as ShardReply;
    return result as Refusal;
  }

  read(read: ShardRead): ShardReadReply | Refusal {
    const result = this.machine.query(encodeValue(read));
    if (result instanceof EncodedResult) return decodeValue(result.bytes) as ShardReadReply;
    return result as Refusal;
  }

  /** One command from a caller that never retries. */
  run(key: Sent["key"], argument: unknown, hash = hashOf(key)): Answered {
    const request = ++this.own;
    const session = { request, batch: request, acknowledged: request, retry: false };
    return this.commit({ ...this.ownSession, ...session, key: key as string, hash, argument });
  }

  get(key: string): unknown {
    const entry = findEntry(this.keyIndex, keyIdentity(key));
    return entry?.shard === this.machine ? entry.value : undefined;
  }

  snapshot(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    const writer = this.machine.snapshot();
    for (let piece = writer.next(65_536); piece !== null; piece = writer.next(65_536)) {
      pieces.push(piece);
    }
    writer.close();
    return pieces;
  }

  /** Another replica, from a snapshot of this one. */
  clone(keyIndex: KeyIndex = new Map(), observer?: ShardObserver): Group {
    const copy = new Group(this.group, this.module, null, keyIndex, observer);
    copy.load(this.snapshot(), this.sessions.image(), this.index, this.now);
    copy.log.push(...this.log);
    copy.own = this.own;
    return copy;
  }

  load(
    pieces: Uint8Array[],
    sessions: ReturnType<Sessions["image"]>,
    index: number,
    now: number,
  ): void {
    this.machine.reset();
    for (const piece of pieces) this.machine.restore(piece);
    this.machine.restored();
    this.sessions.restore(sessions);
    this.index = index;
    this.now = now;
  }

  private context(index: number, now: number): EntryContext {
    let state = index * 2_654_435_761;
    return {
      index,
      now,
      random: () => {
        state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
        return (state >>> 0) / 2 ** 32;
      },
      settle: (origin, result) => {
        this.sessions.retainLater(origin, result);
        this.settled.push({ request: origin.request, result });
      },
    };
  }
}

export function commandOf(sent: Sent): Command {
  const writer = new Writer();
  const padding = sent.request % 3;
  writer.reserve(padding);
  writer.length += padding;
  const keyStart = writer.length;
  if (sent.key !== undefined) writeKey(writer, sent.key as string);
  const argumentStart = writer.length;
  writeValue(writer, sent.argument);
  const { node, incarnation, request, hash } = sent;
  const fingerprint = sent.key === undefined ? 0 : fingerprintOf(sent.key);
  const bytes = new Uint8Array(writer.length + 4);
  bytes.set(writer.bytes.subarray(0, writer.length));
  return { node, incarnation, request, hash, fingerprint, bytes, keyStart, argumentStart };
}

/** The result as a caller gets it. */
export function plain(answered: Answered): unknown {
  return answered instanceof EncodedResult ? decodeValue(answered.bytes) : answered;
}
