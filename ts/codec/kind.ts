/** Names kinds of values for people, and tells which objects can be cloned. */

import { types } from "node:util";

/** What a value is, in words for a message: "a function", "undefined", "a WeakMap". */
export function kindOf(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "function":
      return value.name === "" ? "a function" : `the function ${clip(value.name)}`;
    case "symbol":
      return "a symbol";
    case "object":
      return value === null ? "null" : kindOfObject(value);
    default:
      return withArticle(typeof value);
  }
}

function kindOfObject(value: object): string {
  try {
    if (types.isProxy(value)) return "a Proxy";
    if (Array.isArray(value)) return "an array";
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === null || prototype === Object.prototype) return "a plain object";
    const tag: unknown = Reflect.get(value, Symbol.toStringTag);
    if (typeof tag === "string" && tag !== "") return withArticle(clip(tag));
    const name: unknown = value.constructor?.name;
    return typeof name === "string" && name !== "" ? withArticle(clip(name)) : "an object";
  } catch {
    return "an object that cannot be looked at";
  }
}

function clip(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}...` : name;
}

function withArticle(name: string): string {
  return /^[aeiou]/i.test(name) ? `an ${name}` : `a ${name}`;
}

/** The kinds of objects that the value codec tells apart. */
export type ObjectKind =
  | "plain"
  | "array"
  | "date"
  | "map"
  | "set"
  | "bytes"
  | "view"
  | "arrayBuffer"
  | "error"
  | "regexp"
  | "boxed"
  | "unclonable";

/**
 * How an object is cloned. By what it is, not by its prototype chain; instances of a program's own
 * classes are plain, as for the structured clone algorithm.
 */
export function objectKind(value: object): ObjectKind {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return "plain";
  if (Array.isArray(value)) return "array";
  if (ArrayBuffer.isView(value)) {
    if (types.isSharedArrayBuffer(value.buffer)) return "unclonable";
    return types.isUint8Array(value) ? "bytes" : "view";
  }
  if (types.isMap(value)) return "map";
  if (types.isSet(value)) return "set";
  if (types.isDate(value)) return "date";
  if (types.isRegExp(value)) return "regexp";
  if (types.isNativeError(value)) return "error";
  if (types.isArrayBuffer(value)) return "arrayBuffer";
  if (types.isBoxedPrimitive(value)) return types.isSymbolObject(value) ? "unclonable" : "boxed";
  if (types.isKeyObject(value) || types.isExternal(value)) return "unclonable";
  return isPlatformObject(value) ? "unclonable" : "plain";
}

/**
 * Promises, WeakMaps, generators, Blobs and the like: their state is not in their properties. They
 * have in common that their prototype names itself by `Symbol.toStringTag`, and that their class is
 * native or global, if it can be reached at all.
 */
function isPlatformObject(value: object): boolean {
  if (!(Symbol.toStringTag in value) || Object.hasOwn(value, Symbol.toStringTag)) return false;
  const made: unknown = value.constructor;
  if (typeof made !== "function") return true;
  return (
    Reflect.get(globalThis, made.name) === made ||
    Function.prototype.toString.call(made).endsWith("{ [native code] }")
  );
}
