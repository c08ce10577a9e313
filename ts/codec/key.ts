/**
 * Keys to bytes and back. Equal keys have equal bytes, in every process and every version: the
 * bytes are hashed to find a key's shard. Golden vectors in the tests hold the layout.
 */

import { RaftKVError } from "../errors.ts";
import { KEY_BYTES_MAX, KEY_NESTING_MAX } from "../limits.ts";
import { kindOf } from "./kind.ts";
import { isNumberTag, readBigint, readNumber, writeBigint, writeNumber } from "./number.ts";
import { corrupted, type Reader, readByte, readLength, take } from "./reader.ts";
import { SHORT_TEXT, SHORT_TEXT_MAX, TAG } from "./tags.ts";
import { isTextTag, readText, writeText } from "./text.ts";
import { Writer, writeByte, writeBytes, writeVarint } from "./writer.ts";

/** What a key can be. Two keys are equal when they are equal in type and value. */
export type Key = string | number | bigint | boolean | Uint8Array | readonly Key[];

/** A primitive that stands for a key in a `Map`. */
export type KeyIdentity = string | number | bigint | boolean;

/** Writes a key. When it throws `INVALID_KEY`, nothing was written. */
export function writeKey(w: Writer, key: unknown): void {
  const start = w.length;
  if (typeof key === "string" && key.length < 64) {
    writeText(w, key);
    return;
  }
  try {
    writePart(w, key, start, 0);
  } catch (error) {
    w.length = start;
    throw error instanceof RaftKVError ? error : unreadable(error);
  }
}

/** Reads a key. Arrays are frozen, and like byte arrays fresh copies. */
export function readKey(r: Reader): Key {
  const tag = readByte(r);
  return tag >= 0x80 ? readText(r, tag) : readPart(r, tag, 0);
}

/**
 * Are these the bytes of a key that is a short text of single-byte characters? For others this says
 * no, whatever the bytes are.
 */
export function isShortTextKey(
  bytes: Uint8Array,
  start: number,
  end: number,
  key: unknown,
): key is string {
  if (typeof key !== "string") return false;
  const { length } = key;
  if (length > SHORT_TEXT_MAX || bytes[start] !== (SHORT_TEXT | length)) return false;
  if (end - start !== length + 1) return false;
  for (let at = 0; at < length; at++) {
    if (bytes[start + 1 + at] !== key.charCodeAt(at)) return false;
  }
  return true;
}

const scratch = new Writer(256);

/**
 * Two keys have the same identity, by `Map` equality, exactly when they are equal in type and
 * value. Numbers, bigints, booleans and nearly all strings are their own identity.
 */
export function keyIdentity(key: Key): KeyIdentity {
  if (typeof key === "string" ? key.charCodeAt(0) !== 0 : typeof key !== "object") {
    return key as KeyIdentity;
  }
  scratch.reset();
  writeKey(scratch, key);
  return `\0${scratch.text.toString("latin1", 0, scratch.length)}`;
}

function writePart(w: Writer, key: unknown, start: number, depth: number): void {
  switch (typeof key) {
    case "string":
      writeText(w, key);
      break;
    case "number":
      if (Number.isNaN(key)) throw invalidKey("NaN, which is not equal to itself");
      writeNumber(w, key === 0 ? 0 : key);
      break;
    case "bigint":
      writeBigint(w, key);
      break;
    case "boolean":
      writeByte(w, key ? TAG.true : TAG.false);
      break;
    default:
      if (Array.isArray(key)) {
        writeArray(w, key, start, depth);
      } else if (key instanceof Uint8Array) {
        if (key.length > KEY_BYTES_MAX) throw tooLong();
        writeByte(w, TAG.bytes);
        writeVarint(w, key.length);
        writeBytes(w, key);
      } else {
        throw invalidKey(kindOf(key));
      }
  }
  if (w.length - start > KEY_BYTES_MAX) throw tooLong();
}

function writeArray(w: Writer, items: readonly unknown[], start: number, depth: number): void {
  if (depth === KEY_NESTING_MAX) {
    throw invalidKey(`an array nested more than ${KEY_NESTING_MAX} deep, or within itself`);
  }
  const count = items.length;
  if (count > KEY_BYTES_MAX) throw tooLong();
  writeByte(w, TAG.array);
  writeVarint(w, count);
  for (let i = 0; i < count; i++) writePart(w, items[i], start, depth + 1);
}

function readPart(r: Reader, tag: number, depth: number): Key {
  if (isTextTag(tag)) return readText(r, tag);
  if (isNumberTag(tag)) {
    const value = readNumber(r, tag);
    if (Number.isNaN(value)) throw corrupted("a key is NaN", r.at);
    return value === 0 ? 0 : value;
  }
  switch (tag) {
    case TAG.false:
      return false;
    case TAG.true:
      return true;
    case TAG.bigint:
    case TAG.negativeBigint:
      return readBigint(r, tag);
    case TAG.bytes: {
      const length = readLength(r, 1);
      const at = take(r, length);
      const bytes = new Uint8Array(length);
      bytes.set(r.bytes.subarray(at, at + length));
      return bytes;
    }
    case TAG.array: {
      if (depth === KEY_NESTING_MAX) throw corrupted("a key is nested too deep", r.at);
      const count = readLength(r, 1);
      const items: Key[] = [];
      for (let i = 0; i < count; i++) items.push(readPart(r, readByte(r), depth + 1));
      return Object.freeze(items);
    }
    default:
      throw corrupted("a key is missing", r.at - 1);
  }
}

const ALLOWED =
  "A key is a string, a number other than NaN, a bigint, a boolean, a Uint8Array, " +
  "or an array of these.";

function invalidKey(what: string): RaftKVError {
  return new RaftKVError("INVALID_KEY", `The key is, or contains, ${what}. ${ALLOWED}`);
}

function tooLong(): RaftKVError {
  return new RaftKVError(
    "INVALID_KEY",
    `The key is too long: encoded it exceeds ${KEY_BYTES_MAX} bytes. ` +
      "Use a shorter key, for instance a digest, and keep the long form in the value.",
  );
}

function unreadable(cause: unknown): RaftKVError {
  return new RaftKVError("INVALID_KEY", `The key could not be read. ${ALLOWED}`, { cause });
}
