/**
 * The command records of one tick, on their way to the engine. A chunk keeps its bytes until all
 * of its requests are settled, so that any of them can be sent again.
 */
import { writeKey } from "../codec/key.ts";
import { writeValue } from "../codec/value.ts";
import { Writer } from "../codec/writer.ts";
import { RaftKVError } from "../errors.ts";
import { ARGUMENT_BYTES_MAX, OUTBOX_CHUNK_BYTES } from "../limits.ts";
import { FLAG_HOST, FLAG_RETRY, KEY_LENGTH_MASK, RECORD, ROUTE_GROUP } from "../native/frames.ts";

/** Stands for the key of a command that has none. */
export const NO_KEY: unique symbol = Symbol("no key");
/** Stands for the key of a command to a group's hosts, which its machine does not get. */
export const FOR_HOSTS: unique symbol = Symbol("for hosts");

/** The route of a command that goes to a group and not by its key's hash. */
export function groupRoute(group: number): number {
  return (group | ROUTE_GROUP) >>> 0;
}

/** A run of command records with consecutive request numbers. */
export class Chunk {
  readonly writer = new Writer(OUTBOX_CHUNK_BYTES);
  /** Where each record starts, in bytes, by its distance to `first`. */
  readonly offsets: number[] = [];
  /** The acknowledgement that the records' request numbers are relative to. */
  base = 0;
  /** Request number of the first record. */
  first = 0;
  /** When the chunk was handed to the engine, by the client's clock; 0 = not yet. */
  sentAt = 0;

  /** Makes the chunk empty for records from `first` on. */
  reset(first: number, base: number): void {
    this.writer.reset();
    this.offsets.length = 0;
    this.first = first;
    this.base = base;
    this.sentAt = 0;
  }

  /** Number of the last request, `first - 1` when there is none. */
  get last(): number {
    return this.first + this.offsets.length - 1;
  }

  /**
   * Adds a record; throws a `RaftKVError` and leaves the chunk as it was when key or argument
   * cannot be taken. `hash` is that of a command that goes to a group, as its keys have it.
   */
  add(route: number, key: unknown, argument: unknown, hash = 0): void {
    const { writer } = this;
    const start = writer.length;
    writer.reserve(RECORD.headerBytes);
    writer.length = start + RECORD.headerBytes;
    try {
      if (key !== NO_KEY && key !== FOR_HOSTS) writeKey(writer, key);
      const argumentStart = writer.length;
      writeValue(writer, argument);
      const keyBytes = argumentStart - start - RECORD.headerBytes;
      if (writer.length - argumentStart > ARGUMENT_BYTES_MAX) throw tooLarge(writer, argumentStart);
      this.finish(start, route, hash, key === FOR_HOSTS ? keyBytes | FLAG_HOST : keyBytes);
    } catch (error) {
      writer.length = start;
      throw error;
    }
  }

  /** Takes the last record back out. */
  removeLast(): void {
    this.writer.length = this.offsets.pop() as number;
  }

  /** The route of a request's record. */
  route(request: number): number {
    const start = this.offsets[request - this.first] as number;
    return (this.writer.words[(start >> 2) + RECORD.route] as number) >>> 0;
  }

  /** The encoded key of a request's record; it belongs to the chunk. */
  key(request: number): Uint8Array {
    const start = this.offsets[request - this.first] as number;
    return recordKey(this.writer.bytes.subarray(start));
  }

  /** A copy of the record of a request. */
  record(request: number): Uint8Array {
    const start = this.offsets[request - this.first] as number;
    const length = this.writer.words[start >> 2] as number;
    return this.writer.bytes.slice(start, start + length);
  }

  private finish(start: number, route: number, hash: number, keyWord: number): void {
    const { writer } = this;
    const end = (writer.length + 3) & ~3;
    writer.reserve(end - writer.length);
    writer.length = end;
    const { words } = writer;
    const word = start >> 2;
    words[word + RECORD.length] = end - start;
    words[word + RECORD.route] = route;
    words[word + RECORD.request] = this.first + this.offsets.length - this.base;
    words[word + RECORD.hash] = hash;
    words[word + RECORD.fingerprint] = 0;
    words[word + RECORD.key] = keyWord;
    this.offsets.push(start);
  }
}

/** How many chunks are kept for use again, and how large one may have grown to be kept, in bytes. */
const SPARE_CHUNKS_MAX = 64;
const SPARE_BYTES_MAX = 1024 * 1024;

/** The chunk that is being filled, and those whose requests are not all settled. */
export class Outbox {
  /** The chunk that is being filled. */
  current: Chunk | undefined;
  /** Chunks that were handed to the engine, oldest first. */
  readonly sent: Chunk[] = [];
  private readonly spare: Chunk[] = [];

  /** Starts a chunk for requests from `first` on. */
  open(first: number, acknowledged: number): Chunk {
    const chunk = this.spare.pop() ?? new Chunk();
    chunk.reset(first, acknowledged);
    this.current = chunk;
    return chunk;
  }

  /** Ends the current chunk and counts it as sent; `undefined` when there is nothing in it. */
  take(now: number): Chunk | undefined {
    const chunk = this.current;
    this.current = undefined;
    if (chunk === undefined) return undefined;
    if (chunk.offsets.length === 0) {
      this.spare.push(chunk);
      return undefined;
    }
    chunk.sentAt = now;
    this.sent.push(chunk);
    return chunk;
  }

  /** The chunk that a request was sent in, as long as it is kept. */
  find(request: number): Chunk | undefined {
    // Chunks are in the order of their requests.
    let low = 0;
    let high = this.sent.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const chunk = this.sent[middle] as Chunk;
      if (request < chunk.first) high = middle - 1;
      else if (request > chunk.last) low = middle + 1;
      else return chunk;
    }
    return undefined;
  }

  /** Takes chunks back for use whose requests are all below `tail`. */
  reclaim(tail: number): void {
    const { sent, spare } = this;
    let settled = 0;
    for (; settled < sent.length; settled++) {
      const chunk = sent[settled] as Chunk;
      if (chunk.last >= tail) break;
      const keep = spare.length < SPARE_CHUNKS_MAX && chunk.writer.bytes.length <= SPARE_BYTES_MAX;
      if (keep) spare.push(chunk);
    }
    if (settled > 0) sent.splice(0, settled);
  }

  /** Forgets everything. */
  clear(): void {
    this.current = undefined;
    this.sent.length = 0;
  }
}

/** Puts records that are sent again into one frame; each gets its route and request number anew. */
export function retryFrame(
  records: readonly { readonly record: Uint8Array; readonly request: number; route: number }[],
  base: number,
): Uint8Array {
  const frame = new Uint8Array(records.reduce((sum, { record }) => sum + record.length, 0));
  const words = new Int32Array(frame.buffer);
  let at = 0;
  for (const { record, request, route } of records) {
    frame.set(record, at);
    const word = at >> 2;
    words[word + RECORD.route] = route;
    words[word + RECORD.request] = request - base;
    words[word + RECORD.key] = (words[word + RECORD.key] as number) | FLAG_RETRY;
    at += record.length;
  }
  return frame;
}

/** The encoded key of a record. */
export function recordKey(record: Uint8Array): Uint8Array {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  const keyBytes = view.getUint32(RECORD.key * 4, true) & KEY_LENGTH_MASK;
  return record.subarray(RECORD.headerBytes, RECORD.headerBytes + keyBytes);
}

/** Writes hash and fingerprint of a keyed record that goes to a group by its number. */
export function setRecordHash(record: Uint8Array, hash: number, fingerprint: number): void {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  view.setUint32(RECORD.hash * 4, hash, true);
  view.setUint32(RECORD.fingerprint * 4, fingerprint, true);
}

function tooLarge(writer: Writer, argumentStart: number): RaftKVError {
  const bytes = writer.length - argumentStart;
  return new RaftKVError(
    "INVALID_ARGUMENT",
    `the argument takes ${bytes} bytes and at most ${ARGUMENT_BYTES_MAX} are allowed; split it`,
    { outcome: "not applied" },
  );
}
