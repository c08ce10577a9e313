/** Arguments, values and results to bytes and back: everything the structured clone takes. */

import { RaftKVError } from "../errors.ts";
import { decode } from "./decoder.ts";
import { Encoding, encode, type OnDropped, UNCLONABLE } from "./encoder.ts";
import { corrupted, Reader } from "./reader.ts";
import { TAG } from "./tags.ts";
import { writeText } from "./text.ts";
import { Writer } from "./writer.ts";

// Too short for a failure that would have to be undone.
const SHORT = 64;

// Null while in use: a getter may call for another encoding within this one.
let idle: Encoding | null = new Encoding();

/**
 * Writes a value. When it throws `DATA_CLONE`, which names the part at fault, nothing was written.
 */
export function writeValue(w: Writer, value: unknown): void {
  if (typeof value === "string" && value.length < SHORT) {
    writeText(w, value);
    return;
  }
  const start = w.length;
  const encoding = idle ?? new Encoding();
  idle = null;
  try {
    encode(w, value, encoding, 0);
    if (encoding.seen.shared) markReferences(w, start);
  } catch (error) {
    w.length = start;
    throw problemOf(value, error);
  } finally {
    encoding.clear();
    idle = encoding;
  }
}

/**
 * Writes a value whatever it is: `undefined` stands for each part that cannot be cloned, and
 * `onDropped` is told of it. For values that user code made and that have to go into a snapshot.
 */
export function writeValueLenient(w: Writer, value: unknown, onDropped: OnDropped): void {
  writeLeniently(w, value, new Encoding(), onDropped);
}

function writeLeniently(w: Writer, value: unknown, encoding: Encoding, onDropped: OnDropped): void {
  const start = w.length;
  encoding.dropped = onDropped;
  try {
    encode(w, value, encoding, 0);
    if (encoding.seen.shared) markReferences(w, start);
  } catch (error) {
    if (error instanceof RaftKVError) throw error;
    w.length = start;
    encoding.clear();
    encoding.dropped = onDropped;
    encoding.drop(w, "an object that cannot be read");
  }
}

/**
 * Writes a value in a form that is the same for equal values of different nodes: as leniently as a
 * snapshot, and without what belongs to a node, the stacks of errors.
 */
export function writeComparableValue(w: Writer, value: unknown): void {
  const start = w.length;
  const encoding = idle ?? new Encoding();
  idle = null;
  try {
    encoding.stacks = false;
    encode(w, value, encoding, 0);
    if (encoding.seen.shared) markReferences(w, start);
  } catch {
    w.length = start;
    const lenient = new Encoding();
    lenient.stacks = false;
    writeLeniently(w, value, lenient, () => undefined);
  } finally {
    encoding.clear();
    idle = encoding;
  }
}

/** A text that is the same for equal values, whatever they are, and another for others. */
export function comparableText(value: unknown): string {
  const w = isEncoding() ? new Writer() : scratch;
  w.reset();
  writeComparableValue(w, value);
  return w.text.toString("latin1", 0, w.length);
}

/** Whether a value is being written: what a getter calls then must not use the same writer. */
export function isEncoding(): boolean {
  return idle === null;
}

/** Reads a value. Throws `DATA_CORRUPTED` for bytes that are no encoded value. */
export function readValue(r: Reader): unknown {
  try {
    return decode(r);
  } catch (error) {
    if (error instanceof RaftKVError) throw error;
    throw corrupted("a value cannot be made", r.at, error);
  }
}

const scratch = new Writer();
const scratchReader = new Reader();

/** A value as bytes of exactly its length. */
export function encodeValue(value: unknown): Uint8Array {
  const w = isEncoding() ? new Writer() : scratch;
  w.reset();
  writeValue(w, value);
  return w.copy();
}

/** The value of bytes that `encodeValue` made. */
export function decodeValue(bytes: Uint8Array): unknown {
  scratchReader.reset(bytes, 0);
  return readValue(scratchReader);
}

/** A copy that shares nothing with the value; a primitive is its own copy. */
export function copyValue<T>(value: T): T {
  if (isPrimitive(value)) return value;
  const w = isEncoding() ? new Writer() : scratch;
  w.reset();
  writeValue(w, value);
  scratchReader.reset(w.bytes, 0);
  return readValue(scratchReader) as T;
}

/** Whether a value needs no copy to be safe from change. Functions and symbols do not count. */
export function isPrimitive(value: unknown): boolean {
  switch (typeof value) {
    case "object":
      return value === null;
    case "function":
    case "symbol":
      return false;
    default:
      return true;
  }
}

// Rare, and known only at the end: everything moves up by one byte.
function markReferences(w: Writer, start: number): void {
  w.reserve(1);
  w.bytes.copyWithin(start + 1, start, w.length);
  w.bytes[start] = TAG.referencesFollow;
  w.length++;
}

/** Finds the part at fault by writing the value once more, leniently. */
function problemOf(value: unknown, error: unknown): RaftKVError {
  if (error instanceof RaftKVError) return error;
  let problem: string | undefined;
  try {
    writeValueLenient(new Writer(), value, (path, kind) => {
      problem ??= `the value${path} is ${kind}`;
    });
  } catch {
    // What it was remains unknown: reading the value a second time fails in another way.
  }
  return new RaftKVError(
    "DATA_CLONE",
    `The value cannot be copied: ${problem ?? "a part of it could not be read"}. ` +
      "Pass plain data: what the structured clone algorithm takes.",
    { cause: error === UNCLONABLE ? undefined : error },
  );
}
