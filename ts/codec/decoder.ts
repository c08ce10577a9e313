/**
 * Bytes to values. Damaged or hostile bytes end in an error, never in a hang, a crash, a changed
 * prototype, or memory out of proportion to their length.
 */

import { VALUE_NESTING_MAX } from "../limits.ts";
import { isNumberTag, readBigint, readFloat64, readNumber } from "./number.ts";
import { corrupted, type Reader, readByte, readLength, readVarint, take } from "./reader.ts";
import { SHORT_TEXT, TAG, TINY_INTEGER_MAX } from "./tags.ts";
import { isTextTag, readPropertyName, readText } from "./text.ts";
import { ERRORS, VIEWS } from "./views.ts";

/** Objects in the order in which they started; `null` when no reference follows. */
type Earlier = object[] | null;

/** Reads one value that stands by itself. */
export function decode(r: Reader): unknown {
  const tag = readByte(r);
  if (tag === TAG.referencesFollow) return decodePart(r, readByte(r), [], 0);
  return decodePart(r, tag, null, 0);
}

function decodePart(r: Reader, tag: number, earlier: Earlier, depth: number): unknown {
  if (tag >= SHORT_TEXT) return readText(r, tag);
  if (tag <= TINY_INTEGER_MAX) return tag;
  switch (tag) {
    case TAG.undefined:
      return undefined;
    case TAG.null:
      return null;
    case TAG.false:
      return false;
    case TAG.true:
      return true;
    case TAG.object:
      return decodeObject(r, earlier, depth);
    case TAG.array:
      return decodeArray(r, earlier, depth);
    case TAG.bigint:
    case TAG.negativeBigint:
      return readBigint(r, tag);
    case TAG.reference:
      return decodeReference(r, earlier);
    default:
      if (isTextTag(tag)) return readText(r, tag);
      if (isNumberTag(tag)) return readNumber(r, tag);
      return decodeSpecial(r, tag, earlier, depth);
  }
}

function next(r: Reader, earlier: Earlier, depth: number): unknown {
  if (depth >= VALUE_NESTING_MAX) throw corrupted("a value is nested too deep", r.at);
  return decodePart(r, readByte(r), earlier, depth + 1);
}

function decodeReference(r: Reader, earlier: Earlier): object {
  const object = earlier?.[readVarint(r)];
  if (object === undefined) throw corrupted("a reference leads nowhere", r.at);
  return object;
}

function decodeObject(r: Reader, earlier: Earlier, depth: number): object {
  const object: Record<string, unknown> = {};
  if (earlier !== null) earlier.push(object);
  decodeProperties(r, object, earlier, depth);
  return object;
}

function decodeProperties(
  r: Reader,
  object: Record<string, unknown>,
  earlier: Earlier,
  depth: number,
): void {
  for (let tag = readByte(r); tag !== TAG.end; tag = readByte(r)) {
    const name = readPropertyName(r, tag);
    const value = next(r, earlier, depth);
    if (name === "__proto__") define(object, name, value, true);
    else object[name] = value;
  }
}

function define(object: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, enumerable, writable: true, configurable: true });
}

function decodeArray(r: Reader, earlier: Earlier, depth: number): unknown[] {
  const count = readLength(r, 1);
  const items: unknown[] = [];
  if (earlier !== null) earlier.push(items);
  for (let i = 0; i < count; i++) items.push(next(r, earlier, depth));
  return items;
}

function decodeSpecial(r: Reader, tag: number, earlier: Earlier, depth: number): unknown {
  switch (tag) {
    case TAG.looseArray:
      return decodeLooseArray(r, earlier, depth);
    case TAG.map:
      return decodeMap(r, earlier, depth);
    case TAG.set:
      return decodeSet(r, earlier, depth);
    case TAG.error:
      return decodeError(r, earlier, depth);
    default: {
      const object = decodeLeaf(r, tag);
      if (earlier !== null) earlier.push(object);
      return object;
    }
  }
}

/** Objects that hold no others. */
function decodeLeaf(r: Reader, tag: number): object {
  switch (tag) {
    case TAG.date:
      return new Date(readFloat64(r));
    case TAG.bytes:
      return new Uint8Array(readRaw(r));
    case TAG.arrayBuffer:
      return readRaw(r);
    case TAG.view: {
      const at = r.at;
      const kind = VIEWS[readByte(r)];
      const memory = readRaw(r);
      if (kind === undefined || memory.byteLength % kind.unit !== 0) {
        throw corrupted("a view on bytes is of no known kind", at);
      }
      return new kind.make(memory);
    }
    case TAG.regexp: {
      const source = readText(r, readByte(r));
      return new RegExp(source, readText(r, readByte(r)));
    }
    case TAG.boxed: {
      const at = r.at;
      const primitive = decodePart(r, readByte(r), null, VALUE_NESTING_MAX);
      if (primitive === null || primitive === undefined || typeof primitive === "object") {
        throw corrupted("a boxed primitive is none", at);
      }
      return Object(primitive) as object;
    }
    default:
      throw corrupted("a value is missing", r.at - 1);
  }
}

function readRaw(r: Reader): ArrayBuffer {
  const length = readLength(r, 1);
  const at = take(r, length);
  const memory = new ArrayBuffer(length);
  new Uint8Array(memory).set(r.bytes.subarray(at, at + length));
  return memory;
}

function decodeLooseArray(r: Reader, earlier: Earlier, depth: number): unknown[] {
  const length = readVarint(r);
  const items: unknown[] = [];
  // By way of the largest length the engine turns to a table and never allocates all the holes.
  items.length = 0xffff_ffff;
  items.length = length;
  if (earlier !== null) earlier.push(items);
  for (let tag = readByte(r); tag !== TAG.end; tag = readByte(r)) {
    const name = readText(r, tag);
    const value = next(r, earlier, depth);
    if (name === "length") throw corrupted("an array has two lengths", r.at);
    define(items, name, value, true);
  }
  if (items.length !== length) throw corrupted("an array is longer than its length", r.at);
  return items;
}

function decodeMap(r: Reader, earlier: Earlier, depth: number): Map<unknown, unknown> {
  const count = readLength(r, 2);
  const map = new Map<unknown, unknown>();
  if (earlier !== null) earlier.push(map);
  for (let i = 0; i < count; i++) {
    const key = next(r, earlier, depth);
    map.set(key, next(r, earlier, depth));
  }
  return map;
}

function decodeSet(r: Reader, earlier: Earlier, depth: number): Set<unknown> {
  const count = readLength(r, 1);
  const set = new Set<unknown>();
  if (earlier !== null) earlier.push(set);
  for (let i = 0; i < count; i++) set.add(next(r, earlier, depth));
  return set;
}

function decodeError(r: Reader, earlier: Earlier, depth: number): Error {
  const make = ERRORS[readByte(r)];
  if (make === undefined) throw corrupted("an error is of no known kind", r.at - 1);
  const error = new make();
  if (earlier !== null) earlier.push(error);
  const message = next(r, earlier, depth);
  const stack = next(r, earlier, depth);
  if (message !== undefined) define(error, "message", message, false);
  // This node's own stack would say nothing about where the error came from.
  define(error, "stack", stack, false);
  const tag = readByte(r);
  if (tag !== TAG.end) define(error, "cause", decodePart(r, tag, earlier, depth + 1), false);
  return error;
}
