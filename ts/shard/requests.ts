/**
 * What is asked of a shard besides commands and queries on one key: commands without a key, which go
 * through the log, and reads, which do not. Both travel as plain objects in the value codec.
 *
 * A transfer command may come twice or late. Answered with `over`, it changed nothing because its
 * transfer is over on this shard; for a repeated step that is as good as `done`.
 */
import type { SessionMark } from "../machine/machine.ts";
import type { PackedRetainedResult } from "../machine/result.ts";
import type { HashRange, StatusImage } from "./status.ts";
import type { TallyImage } from "./tally.ts";

/** What a hand-over certifies: the receiver opens with exactly this. */
export interface Certificate {
  readonly transfer: number;
  /** Count, size and checksum of the range's entries. */
  readonly tally: TallyImage;
  /** The sender's change count: no entry of the range has a higher version. */
  readonly clock: number;
  /** Index of the hand-over in the sender's log; the first one, when it was repeated. */
  readonly index: number;
  readonly results: readonly PackedRetainedResult[];
  readonly marks: readonly SessionMark[];
}

/** A command without a key. */
export type ShardCommand =
  | { readonly type: "all"; readonly argument: unknown }
  | { readonly type: "place"; readonly entries: Uint8Array; readonly overwrite: boolean }
  | ({ readonly type: "allWithin"; readonly argument: unknown } & HashRange)
  | ({ readonly type: "expect"; readonly transfer: number; readonly from: number } & HashRange)
  | ({ readonly type: "begin"; readonly transfer: number; readonly to: number } & HashRange)
  | { readonly type: "install"; readonly transfer: number; readonly entries: Uint8Array }
  | { readonly type: "handOver"; readonly transfer: number }
  | { readonly type: "open"; readonly transfer: number; readonly certificate: Certificate }
  | { readonly type: "finish"; readonly transfer: number }
  | { readonly type: "abort"; readonly transfer: number };

/** Answers to commands without a key, in an `EncodedResult`. */
export type ShardReply =
  /** The command took effect, now or before. */
  | { readonly type: "done" }
  /** The transfer is over on this shard; of one older than the last the outcome is not known. */
  | { readonly type: "over"; readonly outcome: "completed" | "aborted" | "unknown" }
  /** To `begin`: read `changes` from this watermark on. */
  | { readonly type: "begun"; readonly watermark: number }
  /** To `install`: how many entries the buffer holds now. */
  | { readonly type: "installed"; readonly count: number }
  /** To `handOver`. */
  | { readonly type: "handedOver"; readonly certificate: Certificate }
  /** To `all`: on how many keys it took effect, and on how many the callback failed. */
  | { readonly type: "applied"; readonly keys: number; readonly failed: number }
  /** To `allWithin`: it took effect on the keys with hashes from the range's start to below `end`. */
  | { readonly type: "covered"; readonly end: number }
  | PlacedReply;

/** To `place`: entries outside the owned range were left out, and none counts below. */
export interface PlacedReply extends HashRange {
  readonly type: "placed";
  /** Entries that were created or overwritten. */
  readonly placed: number;
  /** Entries whose key had the same value and size already. */
  readonly equal: number;
  /** Entries whose key has another value; unless they are to be overwritten nothing was placed. */
  readonly differing: number;
  /** The first key of these. */
  readonly example: unknown;
}

/** Builders of commands without a key; the caller encodes what they return with `writeValue`. */
export const shardCommand = {
  /** Runs the user's command on every key that the shard owns when this is applied. */
  all: (argument: unknown): ShardCommand => ({ type: "all", argument }),
  /**
   * Puts entries of a backup in, those whose hash is owned: all of them, or none where a key has
   * another value that is not to be overwritten. May be repeated.
   */
  place: (entries: Uint8Array, overwrite: boolean): ShardCommand => ({
    type: "place",
    entries,
    overwrite,
  }),
  /**
   * Runs the user's command on the keys of a range, as far as the shard owns it when this is applied.
   * Refused unless it owns the first hash of the range.
   */
  allWithin: (argument: unknown, { start, end }: HashRange): ShardCommand => ({
    type: "allWithin",
    argument,
    start,
    end,
  }),
  /** To the receiver: opens the buffer for a range that group `from` will send. */
  expect: (transfer: number, { start, end }: HashRange, from: number): ShardCommand => ({
    type: "expect",
    transfer,
    start,
    end,
    from,
  }),
  /** To the sender: starts noting changes in a range that goes to group `to`. */
  begin: (transfer: number, { start, end }: HashRange, to: number): ShardCommand => ({
    type: "begin",
    transfer,
    start,
    end,
    to,
  }),
  /** To the receiver: entries out of a `chunk` or `changes` reply. */
  install: (transfer: number, entries: Uint8Array): ShardCommand => ({
    type: "install",
    transfer,
    entries,
  }),
  /** To the sender: gives the range up and freezes its entries. */
  handOver: (transfer: number): ShardCommand => ({ type: "handOver", transfer }),
  /** To the receiver: checks its buffer against the certificate and serves the range. */
  open: (transfer: number, certificate: Certificate): ShardCommand => ({
    type: "open",
    transfer,
    certificate,
  }),
  /** To the sender: drops the frozen entries. */
  finish: (transfer: number): ShardCommand => ({ type: "finish", transfer }),
  /** To the sender, and only when that answered to the receiver: gives the transfer up. */
  abort: (transfer: number): ShardCommand => ({ type: "abort", transfer }),
} as const;

/** A read that does not go through the log. */
export type ShardRead =
  | { readonly type: "status" }
  | { readonly type: "statistics" }
  | { readonly type: "keys"; readonly from: number; readonly limit: number }
  | ChunkRead
  | ChangesRead
  | AnswerRead
  | ValueRead;

/** Entries of the range in transfer in hash order. */
export interface ChunkRead {
  readonly type: "chunk";
  readonly transfer: number;
  readonly cursor: number;
  readonly bytes: number;
}

/** Entries of the range in transfer in version order. */
export interface ChangesRead {
  readonly type: "changes";
  readonly transfer: number;
  readonly after: number;
  readonly bytes: number;
}

/** A query on one key that another node passes on. */
export interface AnswerRead {
  readonly type: "answer";
  readonly key: unknown;
  readonly hash: number;
  readonly fingerprint: number;
  readonly argument: unknown;
}

/** What is stored under a key, without the user's code. */
export interface ValueRead {
  readonly type: "value";
  readonly key: unknown;
  readonly hash: number;
  readonly fingerprint: number;
}

/** Answer to `status`. */
export interface StatusReply {
  readonly type: "status";
  readonly status: StatusImage;
  /** The owned range; `start` = `end` when nothing is owned. */
  readonly start: number;
  readonly end: number;
  readonly keys: number;
  readonly size: number;
  readonly parked: number;
}

/** Answer to `statistics`: keys and size are replicated, load is what this node counted. */
export interface StatisticsReply {
  readonly type: "statistics";
  readonly keys: number;
  readonly size: number;
  readonly load: number;
}

/** Answer to `keys`: every key with a hash in [from, next), in hash order. */
export interface KeysReply {
  readonly type: "keys";
  readonly keys: unknown[];
  /** Where to read on: in this shard while below `end`, in the next one from there. */
  readonly next: number;
  /** End of the shard's range. */
  readonly end: number;
}

/** Answer to `chunk`: entries to install; `cursor` is `null` after the last. */
export interface ChunkReply {
  readonly type: "chunk";
  readonly entries: Uint8Array;
  readonly count: number;
  readonly cursor: number | null;
}

/** Answer to `changes`: entries to install, where to read on, and how many are left at most. */
export interface ChangesReply {
  readonly type: "changes";
  readonly entries: Uint8Array;
  readonly count: number;
  readonly watermark: number;
  readonly left: number;
}

/** Answer to `value`. */
export interface ValueReply {
  readonly type: "value";
  readonly found: boolean;
  readonly value: unknown;
  readonly size: number;
}

/** Answers to reads, in an `EncodedResult`. An `answer` read gives the query's own result. */
export type ShardReadReply =
  | StatusReply
  | StatisticsReply
  | KeysReply
  | ChunkReply
  | ChangesReply
  | ValueReply;

/** Builders of reads; the caller encodes what they return with `writeValue`. */
export const shardRead = {
  /** Status, owned range and statistics. */
  status: (): ShardRead => ({ type: "status" }),
  /** Keys, size and the load counted since it was last taken. */
  statistics: (): ShardRead => ({ type: "statistics" }),
  /** Keys from a hash on, about `limit` of them; `from` must be in the shard's range. */
  keys: (from: number, limit: number): ShardRead => ({ type: "keys", from, limit }),
  /** Entries of the range in transfer from a hash on, about `bytes` of them. */
  chunk: (transfer: number, cursor: number, bytes: number): ShardRead => ({
    type: "chunk",
    transfer,
    cursor,
    bytes,
  }),
  /** Entries of the range in transfer that changed after a watermark, about `bytes` of them. */
  changes: (transfer: number, after: number, bytes: number): ShardRead => ({
    type: "changes",
    transfer,
    after,
    bytes,
  }),
  /** What is stored under a key. */
  value: (key: unknown, hash: number, fingerprint: number): ShardRead => ({
    type: "value",
    key,
    hash,
    fingerprint,
  }),
  /** A query on one key. */
  answer: (key: unknown, hash: number, fingerprint: number, argument: unknown): ShardRead => ({
    type: "answer",
    key,
    hash,
    fingerprint,
    argument,
  }),
} as const;

/** The types that a request must have to be looked at further. */
export function isRequest(value: unknown): value is { readonly type: string } {
  return typeof value === "object" && value !== null && "type" in value;
}
