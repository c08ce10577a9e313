/**
 * What a replicated state machine is: a pure function of its state and the entries of its log.
 *
 * Every replica of a group calls the same methods with the same arguments in the same order, so a
 * machine may not use clocks, randomness, I/O or promises; time and chance come with the entry.
 */

/** Time, chance and position of the entry that is being applied; the same on every replica. */
export interface EntryContext {
  /** Index of the entry in the group's log. */
  readonly index: number;
  /** Milliseconds since 1970 by the proposing leader's clock, never going back within a group. */
  readonly now: number;
  /** The next number of the entry's seeded generator, 0 <= n < 1. */
  random(): number;
  /** Answers a command that was parked earlier, perhaps in another entry. */
  settle(origin: CommandOrigin, result: Result): void;
}

/** Who sent a command: what identifies it for exactly-once. */
export interface CommandOrigin {
  /** Node id of the sender. */
  readonly node: number;
  /** Which opening of its data directory the sender is in. */
  readonly incarnation: number;
  /** Request number, unique within (node, incarnation). */
  readonly request: number;
  /** Hash of the command's key, 27 bits; 0 for a command without a key. */
  readonly hash: number;
}

/**
 * One command out of an entry. The object is reused for the next command and its bytes belong to
 * the entry's buffer: a machine copies what it keeps.
 */
export interface Command extends CommandOrigin {
  /** 32 further bits of the key's hash. */
  readonly fingerprint: number;
  /** The buffer that holds key and argument. */
  readonly bytes: Uint8Array;
  /** Where the encoded key starts; it ends at `argumentStart`. Empty for a command without a key. */
  readonly keyStart: number;
  /** Where the encoded argument starts. The codec delimits itself, padding may follow. */
  readonly argumentStart: number;
}

/** A command or query that had no effect, and why. */
export class Refusal {
  readonly code: RefusalCode;
  readonly message: string;
  /** Where the key lives now, when `code` is "MOVED". */
  readonly group: number | undefined;

  constructor(code: RefusalCode, message: string, group?: number) {
    this.code = code;
    this.message = message;
    this.group = group;
  }
}

/**
 * - `COMMAND_FAILED`, `QUERY_FAILED`: user code threw or returned something malformed; final.
 * - `MOVED`: the key lives in the shard with the group of the refusal; ask there.
 * - `BELOW_RANGE`, `ABOVE_RANGE`: the key is not in this shard's range; look the route up again.
 * - `NOT_YET`: the shard is about to own the key and can park no more, or an earlier command of the
 *   same sender on the key was turned away and has not come back; ask again later.
 * - `STALE`: the batch arrived out of order or late; send again with the retry flag.
 * - `REJECTED`: the machine refuses this command in its present state; final, message says why.
 */
export type RefusalCode =
  | "COMMAND_FAILED"
  | "QUERY_FAILED"
  | "MOVED"
  | "BELOW_RANGE"
  | "ABOVE_RANGE"
  | "NOT_YET"
  | "STALE"
  | "REJECTED";

/**
 * A result that is an object, kept as bytes of the value codec, so that the caller, the retry table
 * and the state never share it.
 */
export class EncodedResult {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** Returned by `apply` when the answer comes later, by `EntryContext.settle`. */
export const PARKED: unique symbol = Symbol("parked");

/** A primitive, or one of the classes above. Anything else is a value that must be encoded first. */
export type Result =
  | undefined
  | null
  | boolean
  | number
  | string
  | bigint
  | Refusal
  | EncodedResult;

/**
 * A result that a shard keeps for retries until the sender has acknowledged it; a refusal that is
 * not final says that the request is to come again.
 */
export interface RetainedResult extends CommandOrigin {
  readonly result: Result;
}

/** The retry results of other commands, as a machine that moves keys needs them. */
export interface RetainedResults {
  /** Results of commands whose key hash is in [start, end). */
  within(start: number, end: number): RetainedResult[];
  /** Takes results over from another shard. */
  adopt(results: readonly RetainedResult[]): void;
  /** How far each session is known to have acknowledged. */
  marks(): SessionMark[];
  /** Takes over what another shard knows of sessions; it may only move them on. */
  adoptMarks(marks: readonly SessionMark[]): void;
  /** How many requests were turned away and are to come again. */
  readonly turnedAway: number;
  /** Is a command that was called earlier, by the same node on the same hash, to come again? */
  isBehind(origin: CommandOrigin): boolean;
  /** Is the request acknowledged, or of an incarnation that has ended? It is never applied again. */
  isOver(origin: CommandOrigin): boolean;
}

/**
 * How far a session has acknowledged: requests below are settled at their sender; and its last batch:
 * earlier ones are late, also where the keys have moved to since. Older marks have none.
 */
export interface SessionMark {
  readonly node: number;
  readonly incarnation: number;
  readonly acknowledged: number;
  readonly lastBatch?: number;
}

/** Writes a machine's state in bounded pieces while commands go on being applied. */
export interface SnapshotWriter {
  /**
   * The next piece, at most about `bytes` long, or `null` when all was given. Pieces together are
   * the state at the moment the writer was made, whatever was applied since.
   */
  next(bytes: number): Uint8Array | null;
  /** Ends the write early or after the last piece; the machine watches over changes no longer. */
  close(): void;
}

/** Computes the checksum of a machine's state while commands go on being applied. */
export interface ChecksumPass {
  /**
   * Goes on for about so many bytes of the state. The checksum (16 hexadecimal digits) of the state
   * at the moment the pass was made, once all of it was seen; before `null`.
   */
  next(bytes: number): string | null;
  /** Ends the pass early or after the checksum was given. */
  close(): void;
}

/** Says whether a node may answer linearizable reads from a machine by itself, now. */
export interface ReadGate {
  canRead(): boolean;
}

/** A replicated state machine. Methods never throw for anything a command or query contains. */
export interface StateMachine {
  /** Set by the machine's replica, for reads that find the machine without asking for the replica. */
  gate?: ReadGate | null;
  /** Applies one command and returns its result. */
  apply(command: Command, context: EntryContext): Result | typeof PARKED;
  /** Answers a read-only request that came encoded, without changing anything. */
  query(request: Uint8Array): Result;
  /** Starts a snapshot of the present state; others may be under way. */
  snapshot(): SnapshotWriter;
  /** Starts a checksum of the present state, which is equal on equal replicas. */
  checksum(): ChecksumPass;
  /** Forgets all state; `restore` calls follow with the pieces of a snapshot, in order. */
  reset(): void;
  /** Takes the next piece of a snapshot in. */
  restore(piece: Uint8Array): void;
  /** Called after the last piece. */
  restored(): void;
}
