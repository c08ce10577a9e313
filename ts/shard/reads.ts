/** Reads of a shard that do not go through its log, but for queries on one key. */

import { keyIdentity, Writer } from "../codec/index.ts";
import { Refusal } from "../machine/machine.ts";
import { describeValue } from "./describe.ts";
import type { KeyIdentity, ShardEntry } from "./entry.ts";
import { writeEntry } from "./entry-bytes.ts";
import { outsideRefusal } from "./ownership.ts";
import type {
  AnswerRead,
  ChangesRead,
  ChangesReply,
  ChunkRead,
  ChunkReply,
  KeysReply,
  ShardRead,
  StatisticsReply,
  StatusReply,
  ValueRead,
  ValueReply,
} from "./requests.ts";
import { isRequest } from "./requests.ts";
import type { ShardState } from "./state.ts";
import { type Copying, type HandedOver, statusImage } from "./status.ts";
import { rejected } from "./transfer.ts";

/** What answers queries on one key. */
export interface Answerer {
  find(hash: number, fingerprint: number, identity: KeyIdentity): ShardEntry | undefined;
  answer(entry: ShardEntry, argument: unknown): unknown;
  answerMissing(): undefined;
  statistics(): StatisticsReply;
}

/** Answers a read; what comes back is a refusal, a reply, or the result of a query on one key. */
export function answerRead(answerer: Answerer, state: ShardState, request: unknown): unknown {
  if (!isRequest(request)) return rejected(state, `no read: ${describeValue(request)}`);
  const read = request as ShardRead;
  switch (read.type) {
    case "status":
      return readStatus(state);
    case "statistics":
      return answerer.statistics();
    case "keys":
      if (read.from < state.start || read.from >= state.end)
        return outsideRefusal(state, read.from);
      return readKeys(state, read.from, Math.max(1, read.limit));
    case "chunk":
      return readChunk(state, read);
    case "changes":
      return readChanges(state, read);
    case "answer":
      return readAnswer(answerer, state, read);
    case "value":
      return readValue(answerer, state, read);
    default:
      return rejected(state, `no read of type ${describeValue((read as ShardRead).type)}`);
  }
}

function readAnswer(answerer: Answerer, state: ShardState, read: AnswerRead): unknown {
  if (read.hash < state.start || read.hash >= state.end) return outsideRefusal(state, read.hash);
  const entry = find(answerer, read);
  return entry === undefined ? answerer.answerMissing() : answerer.answer(entry, read.argument);
}

function readValue(answerer: Answerer, state: ShardState, read: ValueRead): ValueReply | Refusal {
  if (read.hash < state.start || read.hash >= state.end) return outsideRefusal(state, read.hash);
  const entry = find(answerer, read);
  const { value, size } = entry ?? { value: undefined, size: 0 };
  return { type: "value", found: entry !== undefined, value, size };
}

function find(answerer: Answerer, { hash, fingerprint, key }: AnswerRead | ValueRead) {
  const identity = keyIdentity(key as Parameters<typeof keyIdentity>[0]);
  return answerer.find(hash, fingerprint, identity);
}

/** Status, owned range and statistics. */
export function readStatus(state: ShardState): StatusReply {
  const { status, start, end, keys, size, parking } = state;
  const parked = parking.count;
  return { type: "status", status: statusImage(status), start, end, keys, size, parked };
}

/** A page of the owned keys. `from` is owned. */
export function readKeys(state: ShardState, from: number, limit: number): KeysReply {
  const keys: unknown[] = [];
  let last = -1;
  let next = state.end;
  state.table.walk(from, state.end, (entry) => {
    // A page ends between two hashes, so that the next one can start at a hash.
    if (keys.length >= limit && entry.hash !== last) {
      next = entry.hash;
      return false;
    }
    last = entry.hash;
    if (entry.value !== undefined) keys.push(entry.key);
    return true;
  });
  return { type: "keys", keys, next, end: state.end };
}

/** Entries of the range in transfer in hash order. */
export function readChunk(state: ShardState, read: ChunkRead): ChunkReply | Refusal {
  const status = sending(state, read.transfer);
  if (status instanceof Refusal) return status;
  const writer = new Writer();
  const bytes = Math.max(1, read.bytes);
  let count = 0;
  let last = -1;
  let cursor: number | null = null;
  state.table.walk(Math.max(Number(read.cursor), status.start), status.end, (entry) => {
    if (writer.length >= bytes && entry.hash !== last) {
      cursor = entry.hash;
      return false;
    }
    last = entry.hash;
    // Tombstones are changes; they come with those.
    if (entry.value === undefined) return true;
    writeEntry(writer, entry);
    count++;
    return true;
  });
  return { type: "chunk", entries: writer.bytes.slice(0, writer.length), count, cursor };
}

/** Entries of the range in transfer in version order, tombstones as well. */
export function readChanges(state: ShardState, read: ChangesRead): ChangesReply | Refusal {
  const status = sending(state, read.transfer);
  if (status instanceof Refusal) return status;
  const writer = new Writer();
  const bytes = Math.max(1, read.bytes);
  let count = 0;
  let watermark = Math.max(read.after, status.changes.since);
  let isLast = true;
  status.changes.walk(watermark, (entry) => {
    if (writer.length >= bytes) {
      isLast = false;
      return false;
    }
    writeEntry(writer, entry);
    watermark = entry.version;
    count++;
    return true;
  });
  const left = isLast ? 0 : status.changes.left(watermark);
  const entries = writer.bytes.slice(0, writer.length);
  return { type: "changes", entries, count, watermark, left };
}

function sending(state: ShardState, transfer: number): Copying | HandedOver | Refusal {
  const { status } = state;
  const isSending = status.type === "copying" || status.type === "handedOver";
  if (isSending && status.transfer === transfer) return status;
  return rejected(state, `transfer ${transfer} sends nothing from here`);
}
