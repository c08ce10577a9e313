/**
 * The native engine with its types, as the rest of ts/ uses it. It adds to the addon that errors
 * are `RaftKVError`s and that closing delivers the last events; it changes nothing else.
 */
import { ERROR_CODES, type ErrorCode, RaftKVError } from "../errors.ts";
import { CLOSE_PULL_MS_MAX, DRAIN_BYTES_MAX, EVENT_QUEUE_BYTES_MAX } from "../limits.ts";
import { type Binding, loadBinding } from "./binding.ts";

/** How to open an engine; defaults are the business of the API. */
export interface EngineOptions {
  /** Where the log and snapshots live; ":memory:" keeps nothing. */
  readonly dataDir: string;
  /** "fsync": acknowledged = on disk. "buffered": the operating system decides when. */
  readonly durability: "fsync" | "buffered";
  /** A directory of another cluster is refused. */
  readonly clusterName: string;
  /** Milliseconds between a leader's signs of life. */
  readonly heartbeatInterval: number;
  /** Milliseconds without one before a follower stands for election. */
  readonly electionTimeout: number;
}

/**
 * Takes whole events; `frames.ts` has their layout. The buffer starts its own ArrayBuffer and its
 * length is a multiple of 4. With `more`, further events wait and the taker *pulls* them: it calls
 * `drain` until that returns null, and is not called before. It may be called before the promise of
 * `openEngine` resolves. What it throws is an uncaught exception of the process.
 */
export type OnEvents = (events: Buffer, more: boolean) => void;

/** Which node and cluster a data directory belongs to. */
export interface Identity {
  /** Cluster id. */
  readonly cluster: number;
  /** Node id, 52 bits. */
  readonly node: number;
  /** How often the directory was opened. */
  readonly incarnation: number;
  /** The name that the cluster was started with. */
  readonly clusterName: string;
}

/** A group that the journal holds. */
export interface StoredGroup {
  readonly group: number;
  /** The bytes that the group was created with. */
  readonly descriptor: Uint8Array;
}

/** What an engine did since it was opened, and how much is under way. */
export interface EngineStatistics {
  /** Groups that are open. */
  readonly groups: number;
  /** Commands taken. */
  readonly commands: number;
  readonly entriesProposed: number;
  /** Entries with commands given to the host. */
  readonly entriesApplied: number;
  /** Commands refused after they were taken. */
  readonly commandsRefused: number;
  /** Snapshots written. */
  readonly snapshots: number;
  /** Commands that were taken and are not yet applied. */
  readonly pendingCommands: number;
  readonly pendingBytes: number;
  /** Bytes of events that wait for the host. */
  readonly eventBytes: number;
  /** Rounds that the journal wrote. */
  readonly journalRounds: number;
  /** Times that the disk was asked to make rounds durable. */
  readonly journalFlushes: number;
  readonly journalDiskBytes: number;
  /** How long the last round took to be written and made durable. */
  readonly journalLastFlushNanoseconds: number;
  /** Bytes of entries that the journal keeps in memory. */
  readonly journalCachedBytes: number;
}

/** Where a key belongs; see ARCHITECTURE.md, words 3 and 4 of a command record. */
export interface KeyHash {
  /** 27 bits. */
  readonly hash: number;
  /** 32 further bits. */
  readonly fingerprint: number;
}

/** An open engine: holds the process alive until `close` or `unref`. Errors are `RaftKVError`s. */
export interface NativeEngine {
  identity(): Identity;
  storedGroups(): StoredGroup[];
  /** Creates a group with this node as the only member; resolves to its lease slot. */
  createGroup(group: number, descriptor: Uint8Array): Promise<number>;
  /** Opens a stored group, whose log is then replayed as events; resolves to its lease slot. */
  openGroup(group: number): Promise<number>;
  /** Stops a group and keeps what it stored. */
  closeGroup(group: number): Promise<void>;
  /** Stops a group and deletes what it stored. */
  removeGroup(group: number): Promise<void>;

  /**
   * Hands the first `byteLength` bytes of an outbox over; they are copied. `acknowledged` is the
   * lowest request number that is not settled.
   */
  submit(records: Uint8Array, byteLength: number, acknowledged: number): void;
  /** The next events for a taker that pulls, or null, which ends the pulling. */
  drain(maxBytes: number): Buffer | null;
  /** Starts pulling of the taker's own accord: `onEvents` rests until `drain` returned null. */
  hold(): void;

  /** Makes or replaces the route table of a keyspace: ascending range starts, a group for each. */
  setRoutes(keyspace: number, name: string, starts: Uint32Array, groups: Uint32Array): void;
  removeRoutes(keyspace: number): void;
  /** The hash of an encoded key, or null: no such keyspace. */
  hashKey(keyspace: number, key: Uint8Array): KeyHash | null;
  /** The group that owns a hash, or null. */
  findGroup(keyspace: number, hash: number): number | null;

  /** Answers the event "leader ready": all that was given before it is applied. */
  hostReady(group: number, term: number): void;
  /** Takes the next piece of a snapshot; false: it was taken, but let the disk catch up first. */
  snapshotPiece(group: number, number: number, piece: Uint8Array): boolean;
  finishSnapshot(group: number, number: number): void;
  failSnapshot(group: number, number: number, reason: string): void;

  statistics(): EngineStatistics;

  /**
   * The lease slots of all engines of the process: Int32, to be read with `Atomics.load` and never
   * written. The memory is shared with the engine, so the buffer must not be transferred.
   */
  leases(): ArrayBuffer;

  /** Holds the process alive, as an engine does from its opening on. */
  ref(): void;
  /** Lets the process end although the engine is open. */
  unref(): void;
  /** Flushes, stops everything, and gives `onEvents` what was still queued. Idempotent. */
  close(): Promise<void>;
}

/** The lease slots are the process's: one buffer over them serves every engine. */
let leaseSlots: ArrayBuffer | undefined;
/** What the addon writes a hash into. */
const hashWords = new Uint32Array(2);

/** Opens an engine. */
export async function openEngine(
  options: EngineOptions,
  onEvents: OnEvents,
): Promise<NativeEngine> {
  if (typeof onEvents !== "function") {
    throw new RaftKVError("INVALID_ARGUMENT", "onEvents must be a function");
  }
  const { NativeEngine: Native } = loadBinding();
  const taker: Taker = { onEvents, pulling: false };
  const { dataDir, durability, clusterName, heartbeatInterval, electionTimeout } = options;
  const native = await typedAsync(() =>
    Native.open(
      {
        directory: dataDir === ":memory:" ? null : dataDir,
        ...{ durability, clusterName },
        ...{ heartbeatIntervalMs: heartbeatInterval, electionTimeoutMs: electionTimeout },
        ...{ eventQueueBytesMax: EVENT_QUEUE_BYTES_MAX, eventBatchBytesMax: DRAIN_BYTES_MAX },
      },
      (events, more) => {
        taker.pulling ||= more;
        if (events !== null) onEvents(events, more);
      },
    ),
  );
  return new OpenEngine(native, taker);
}

/** Who takes events, and whether it is pulling. */
interface Taker {
  readonly onEvents: OnEvents;
  pulling: boolean;
}

class OpenEngine implements NativeEngine {
  readonly #native: Binding.NativeEngine;
  readonly #taker: Taker;
  #closing: Promise<void> | undefined;

  constructor(native: Binding.NativeEngine, taker: Taker) {
    this.#native = native;
    this.#taker = taker;
  }

  identity(): Identity {
    return typed(() => this.#native.identity());
  }

  storedGroups(): StoredGroup[] {
    return typed(() => this.#native.storedGroups());
  }

  createGroup(group: number, descriptor: Uint8Array): Promise<number> {
    return typedAsync(() => this.#native.createGroup(group, descriptor));
  }

  openGroup(group: number): Promise<number> {
    return typedAsync(() => this.#native.openGroup(group));
  }

  closeGroup(group: number): Promise<void> {
    return typedAsync(() => this.#native.closeGroup(group));
  }

  removeGroup(group: number): Promise<void> {
    return typedAsync(() => this.#native.removeGroup(group));
  }

  submit(records: Uint8Array, byteLength: number, acknowledged: number): void {
    try {
      this.#native.submit(records, byteLength, acknowledged);
    } catch (error) {
      throw typedError(error);
    }
  }

  drain(maxBytes: number): Buffer | null {
    try {
      const events = this.#native.drain(maxBytes);
      this.#taker.pulling = events !== null;
      return events;
    } catch (error) {
      throw typedError(error);
    }
  }

  hold(): void {
    this.#native.hold();
    this.#taker.pulling = true;
  }

  setRoutes(keyspace: number, name: string, starts: Uint32Array, groups: Uint32Array): void {
    typed(() => this.#native.setRoutes(keyspace, name, starts, groups));
  }

  removeRoutes(keyspace: number): void {
    typed(() => this.#native.removeRoutes(keyspace));
  }

  hashKey(keyspace: number, key: Uint8Array): KeyHash | null {
    const words = hashWords;
    try {
      if (!this.#native.hashKey(keyspace, key, words)) return null;
    } catch (error) {
      throw typedError(error);
    }
    return { hash: words[0] as number, fingerprint: words[1] as number };
  }

  findGroup(keyspace: number, hash: number): number | null {
    return typed(() => this.#native.findGroup(keyspace, hash));
  }

  hostReady(group: number, term: number): void {
    typed(() => this.#native.hostReady(group, term));
  }

  snapshotPiece(group: number, number: number, piece: Uint8Array): boolean {
    return typed(() => this.#native.snapshotPiece(group, number, piece));
  }

  finishSnapshot(group: number, number: number): void {
    typed(() => this.#native.finishSnapshot(group, number));
  }

  failSnapshot(group: number, number: number, reason: string): void {
    typed(() => this.#native.failSnapshot(group, number, reason));
  }

  statistics(): EngineStatistics {
    return typed(() => this.#native.statistics());
  }

  leases(): ArrayBuffer {
    leaseSlots ??= typed(() => this.#native.leases());
    return leaseSlots;
  }

  ref(): void {
    typed(() => this.#native.ref());
  }

  unref(): void {
    typed(() => this.#native.unref());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await typedAsync(() => this.#native.close());
    } finally {
      await this.#pulled();
      const rest = this.#native.release();
      if (rest !== null) this.#taker.onEvents(rest, false);
      await this.#pulled();
    }
  }

  /** Waits, within limits, until the taker has handled what it was given. */
  async #pulled(): Promise<void> {
    const end = performance.now() + CLOSE_PULL_MS_MAX;
    while (this.#taker.pulling && performance.now() < end) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function typed<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw typedError(error);
  }
}

async function typedAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw typedError(error);
  }
}

/** N-API's own codes of a value of the wrong kind, as in "NumberExpected". */
const WRONG_KIND = /^(InvalidArg|.*Expected)$/;
const KNOWN = new Set<string>(ERROR_CODES);

/** Turns what the addon threw into the typed error. */
function typedError(error: unknown): RaftKVError {
  if (error instanceof RaftKVError) return error;
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  return new RaftKVError(publicCode(String(code)), String(message), { cause: error });
}

function publicCode(code: string): ErrorCode {
  if (KNOWN.has(code)) return code as ErrorCode;
  if (code === "NO_SUCH_GROUP" || code === "NO_SUCH_SNAPSHOT") return "NOT_FOUND";
  return WRONG_KIND.test(code) ? "INVALID_ARGUMENT" : "INTERNAL";
}
