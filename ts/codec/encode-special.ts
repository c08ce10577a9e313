/** Writes the objects that are neither plain nor arrays. */

import { type Encoding, encode, encodeReported } from "./encoder.ts";
import { kindOf, type ObjectKind } from "./kind.ts";
import { writeFloat64 } from "./number.ts";
import { TAG } from "./tags.ts";
import { writeText } from "./text.ts";
import { errorKind, viewKind } from "./views.ts";
import { type Writer, writeByte, writeBytes, writeVarint } from "./writer.ts";

const mapSize = getter(Map.prototype, "size");
const setSize = getter(Set.prototype, "size");

function getter(prototype: object, name: string): (this: unknown) => unknown {
  const get = Object.getOwnPropertyDescriptor(prototype, name)?.get;
  if (get === undefined) throw new Error(`${name} is not a getter of this engine`);
  return get;
}

/** Writes an object of the given kind. Methods of the built-in classes are used, not overrides. */
export function writeSpecialObject(
  w: Writer,
  value: object,
  kind: ObjectKind,
  e: Encoding,
  depth: number,
): void {
  switch (kind) {
    case "bytes":
      writeByte(w, TAG.bytes);
      writeRaw(w, value as Uint8Array);
      return;
    case "view":
      writeView(w, value as ArrayBufferView, e);
      return;
    case "arrayBuffer":
      writeByte(w, TAG.arrayBuffer);
      writeRaw(w, new Uint8Array(value as ArrayBuffer));
      return;
    case "map":
      writeMap(w, value as Map<unknown, unknown>, e, depth);
      return;
    case "set":
      writeSet(w, value as Set<unknown>, e, depth);
      return;
    case "date":
      writeByte(w, TAG.date);
      writeFloat64(w, Date.prototype.getTime.call(value));
      return;
    case "error":
      writeError(w, value as Error, e, depth);
      return;
    case "regexp":
      writeByte(w, TAG.regexp);
      writeText(w, (value as RegExp).source);
      writeText(w, (value as RegExp).flags);
      return;
    default:
      writeByte(w, TAG.boxed);
      encode(w, value.valueOf(), e, depth + 1);
  }
}

function writeRaw(w: Writer, bytes: Uint8Array): void {
  writeVarint(w, bytes.length);
  writeBytes(w, bytes);
}

function writeView(w: Writer, view: ArrayBufferView, e: Encoding): void {
  const kind = viewKind(view);
  if (kind < 0) {
    e.drop(w, kindOf(view));
    return;
  }
  writeByte(w, TAG.view);
  writeByte(w, kind);
  writeRaw(w, new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

// The entries are taken first: a getter of one of them may change the collection.
function writeMap(w: Writer, map: Map<unknown, unknown>, e: Encoding, depth: number): void {
  writeByte(w, TAG.map);
  writeVarint(w, mapSize.call(map) as number);
  const entries = Array.from(Map.prototype.entries.call(map) as Iterable<[unknown, unknown]>);
  for (let i = 0; i < entries.length; i++) {
    const [key, value] = entries[i] as [unknown, unknown];
    if (e.dropped === null) {
      encode(w, key, e, depth + 1);
      encode(w, value, e, depth + 1);
    } else {
      encodeReported(w, () => key, `<key ${i}>`, e, depth + 1);
      encodeReported(w, () => value, `<value ${i}>`, e, depth + 1);
    }
  }
}

function writeSet(w: Writer, set: Set<unknown>, e: Encoding, depth: number): void {
  writeByte(w, TAG.set);
  writeVarint(w, setSize.call(set) as number);
  const members = Array.from(Set.prototype.values.call(set) as Iterable<unknown>);
  for (let i = 0; i < members.length; i++) {
    if (e.dropped === null) encode(w, members[i], e, depth + 1);
    else encodeReported(w, () => members[i], `<member ${i}>`, e, depth + 1);
  }
}

function writeError(w: Writer, error: Error, e: Encoding, depth: number): void {
  const kind = errorKind(error.name);
  const message: unknown = Object.getOwnPropertyDescriptor(error, "message")?.value;
  const stack: unknown = e.stacks ? error.stack : undefined;
  const cause = Object.getOwnPropertyDescriptor(error, "cause");
  writeByte(w, TAG.error);
  writeByte(w, kind);
  encode(w, message === undefined ? undefined : String(message), e, depth + 1);
  encode(w, typeof stack === "string" ? stack : undefined, e, depth + 1);
  if (cause === undefined || !("value" in cause)) writeByte(w, TAG.end);
  else if (e.dropped === null) encode(w, cause.value, e, depth + 1);
  else encodeReported(w, () => cause.value, ".cause", e, depth + 1);
}
