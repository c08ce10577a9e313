/** Short texts about values that users gave or threw. Nothing here throws, whatever the value is. */
import { isPromise } from "node:util/types";

/** Characters of a key or of a thrown text that a message shows. */
const SHOWN_CHARACTERS_MAX = 200;

/** A key for a message. */
export function describeKey(key: unknown): string {
  try {
    return shorten(keyText(key));
  } catch {
    return "(a key that cannot be shown)";
  }
}

/** Whatever was thrown, for a message. */
export function describeThrown(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return shorten(thrown.message || thrown.name);
    return shorten(typeof thrown === "string" ? thrown : `threw ${describeValue(thrown)}`);
  } catch {
    return "threw something that cannot be shown";
  }
}

/** What a value is, for a message about a value of the wrong kind. */
export function describeValue(value: unknown): string {
  try {
    if (value === null || value === undefined) return String(value);
    if (isPromise(value)) return "a promise";
    if (Array.isArray(value)) return `an array of ${value.length}`;
    if (typeof value === "object") return "an object";
    if (typeof value === "function") return "a function";
    return shorten(`the ${typeof value} ${keyText(value)}`);
  } catch {
    return "something that cannot be shown";
  }
}

/** Keeps the rejection of a promise that nobody will wait for from ending the process. */
export function ignoreRejection(value: unknown): void {
  if (isPromise(value)) Promise.prototype.then.call(value, undefined, () => undefined);
}

function keyText(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(key);
  if (typeof key === "bigint") return `${key}n`;
  if (key instanceof Uint8Array) return `Uint8Array(${key.length})`;
  if (Array.isArray(key)) return `[${key.slice(0, 8).map(keyText).join(", ")}]`;
  return String(key);
}

function shorten(text: string): string {
  if (text.length <= SHOWN_CHARACTERS_MAX) return text;
  return `${text.slice(0, SHOWN_CHARACTERS_MAX)}...`;
}
