/**
 * Values to bytes. What the structured clone algorithm takes is taken; getters run once, and what
 * is written no longer shares anything with the value.
 */

import { VALUE_NESTING_MAX } from "../limits.ts";
import { writeSpecialObject } from "./encode-special.ts";
import { kindOf, objectKind } from "./kind.ts";
import { writeBigint, writeNumber } from "./number.ts";
import { SeenObjects } from "./seen.ts";
import { TAG } from "./tags.ts";
import { writeText } from "./text.ts";
import { type Writer, writeByte, writeVarint } from "./writer.ts";

/** Thrown, without the cost of a stack, where a part cannot be cloned; never leaves the codec. */
export const UNCLONABLE: unique symbol = Symbol("unclonable");

/** Told of each part that was left out: where it is, and what it is. */
export type OnDropped = (path: string, kind: string) => void;

/** One value being written: what was met so far, and where the writing is when that matters. */
export class Encoding {
  readonly seen = new SeenObjects();
  /** Present: parts that cannot be cloned are left out and reported instead of thrown. */
  dropped: OnDropped | null = null;
  /** Are the stacks of errors written? */
  stacks = true;
  /** The way to the present part, kept only for reports. */
  readonly path: string[] = [];

  /** Goes back to the state of a new one. */
  clear(): void {
    this.seen.clear();
    this.stacks = true;
    if (this.dropped === null) return;
    this.dropped = null;
    this.path.length = 0;
  }

  /** Writes `undefined` for a part that cannot be cloned, or throws. */
  drop(w: Writer, kind: string): void {
    if (this.dropped === null) throw UNCLONABLE;
    this.dropped(this.path.join(""), kind);
    writeByte(w, TAG.undefined);
  }
}

/** Writes any value. */
export function encode(w: Writer, value: unknown, e: Encoding, depth: number): void {
  switch (typeof value) {
    case "string":
      writeText(w, value);
      return;
    case "number":
      writeNumber(w, value);
      return;
    case "object":
      if (value === null) writeByte(w, TAG.null);
      else encodeObject(w, value, e, depth);
      return;
    case "undefined":
      writeByte(w, TAG.undefined);
      return;
    case "boolean":
      writeByte(w, value ? TAG.true : TAG.false);
      return;
    case "bigint":
      writeBigint(w, value);
      return;
    default:
      e.drop(w, kindOf(value));
  }
}

function encodeObject(w: Writer, value: object, e: Encoding, depth: number): void {
  if (depth === VALUE_NESTING_MAX) {
    e.drop(w, `nested more than ${VALUE_NESTING_MAX} deep`);
    return;
  }
  const kind = objectKind(value);
  if (kind === "unclonable") {
    e.drop(w, kindOf(value));
    return;
  }
  const earlier = e.seen.meet(value);
  if (earlier >= 0) {
    writeByte(w, TAG.reference);
    writeVarint(w, earlier);
  } else if (kind === "plain") {
    writeByte(w, TAG.object);
    encodeProperties(w, value as Record<string, unknown>, e, depth);
  } else if (kind === "array") {
    encodeArray(w, value as unknown[], e, depth);
  } else {
    writeSpecialObject(w, value, kind, e, depth);
  }
}

function encodeProperties(
  w: Writer,
  value: Record<string, unknown>,
  e: Encoding,
  depth: number,
): void {
  if (e.dropped === null) {
    for (const name in value) {
      if (!Object.hasOwn(value, name)) continue;
      const part = value[name];
      writeText(w, name);
      encode(w, part, e, depth + 1);
    }
  } else {
    for (const name of Object.keys(value)) {
      writeText(w, name);
      encodeReported(w, () => value[name], nameInPath(name), e, depth + 1);
    }
  }
  writeByte(w, TAG.end);
}

/** Writes a part of which the path is to be known, and which may fail to be read at all. */
export function encodeReported(
  w: Writer,
  read: () => unknown,
  step: string,
  e: Encoding,
  depth: number,
): void {
  e.path.push(step);
  let part: unknown;
  let failure: unknown = UNCLONABLE;
  try {
    part = read();
  } catch (error) {
    failure = error;
  }
  if (failure === UNCLONABLE) encode(w, part, e, depth);
  else e.drop(w, "a getter that throws");
  e.path.pop();
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** How a property stands in a path: `.name` or `["odd name"]`. */
export function nameInPath(name: string): string {
  return IDENTIFIER.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

// Object.values is a plain copy for an array without holes and named properties, the only way to
// learn that there are none at a cost that does not show; and each getter runs once.
function encodeArray(w: Writer, items: unknown[], e: Encoding, depth: number): void {
  const values: unknown[] = Object.values(items);
  const count = items.length;
  // A hole counts as undefined for includes; as many holes as named properties are found that way.
  if (values.length !== count || items.includes(undefined)) {
    const names = Object.keys(items);
    if (names.length !== count || (count > 0 && names[count - 1] !== String(count - 1))) {
      encodeLooseArray(w, count, names, values, e, depth);
      return;
    }
  }
  writeByte(w, TAG.array);
  writeVarint(w, count);
  for (let i = 0; i < count; i++) {
    if (e.dropped === null) encode(w, values[i], e, depth + 1);
    else encodeReported(w, () => values[i], `[${i}]`, e, depth + 1);
  }
}

function encodeLooseArray(
  w: Writer,
  length: number,
  names: readonly string[],
  values: readonly unknown[],
  e: Encoding,
  depth: number,
): void {
  writeByte(w, TAG.looseArray);
  writeVarint(w, length);
  for (let i = 0; i < names.length && i < values.length; i++) {
    const name = names[i] as string;
    writeText(w, name);
    if (e.dropped === null) encode(w, values[i], e, depth + 1);
    else encodeReported(w, () => values[i], nameInPath(name), e, depth + 1);
  }
  writeByte(w, TAG.end);
}
