/**
 * Keys, arguments and values as JSON. What JSON has no form for stands in an object with a single
 * name that begins with `$`: `{"$bigint":"12"}`, `{"$bytes":"AQID"}` (base64), `{"$date":"2026-..."}`,
 * `{"$map":[[key,value],...]}`, `{"$set":[...]}`, `{"$number":"NaN"}`, `{"$undefined":true}`; an object
 * that would be taken for one of these is `{"$object":[[name,value],...]}`. What has a class of its
 * own, and what contains itself, is shown and cannot be read back: `{"$shown":"..."}`.
 */
import { kindOf } from "../codec/kind.ts";
import { RaftKVError } from "../errors.ts";
import type { Json } from "./types.ts";

/** A value as JSON. */
export function toJson(value: unknown): Json {
  return written(value, []);
}

/** The value that JSON stands for. @throws `INVALID_ARGUMENT` */
export function fromJson(json: Json | undefined): unknown {
  if (json === undefined) return undefined;
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(fromJson);
  const entries = Object.entries(json) as [string, Json][];
  const [only] = entries;
  if (entries.length === 1 && only?.[0].startsWith("$")) return marked(only[0], only[1]);
  return Object.fromEntries(entries.map(([name, part]) => [name, fromJson(part)]));
}

function written(value: unknown, above: readonly object[]): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return { $number: Object.is(value, -0) ? "-0" : String(value) };
    case "bigint":
      return { $bigint: String(value) };
    case "undefined":
      return { $undefined: true };
    case "object":
      return value === null ? null : writtenObject(value, above);
    default:
      return { $shown: kindOf(value) };
  }
}

function writtenObject(value: object, above: readonly object[]): Json {
  if (above.includes(value)) return { $shown: "a part that contains itself" };
  const inner = [...above, value];
  if (Array.isArray(value)) return value.map((part) => written(part, inner));
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Date) {
    return { $date: Number.isNaN(value.getTime()) ? "invalid" : value.toISOString() };
  }
  if (value instanceof Map) {
    return { $map: [...value].map(([k, v]) => [written(k, inner), written(v, inner)]) };
  }
  if (value instanceof Set) return { $set: [...value].map((part) => written(part, inner)) };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return { $shown: value instanceof Error ? String(value) : kindOf(value) };
  }
  const entries = Object.entries(value).map(
    ([name, part]) => [name, written(part, inner)] as const,
  );
  const [only] = entries;
  if (entries.length === 1 && only?.[0].startsWith("$")) return { $object: entries };
  return Object.fromEntries(entries);
}

function marked(mark: string, json: Json): unknown {
  switch (mark) {
    case "$bigint":
      if (typeof json === "string" && /^-?\d{1,1000}$/.test(json)) return BigInt(json);
      break;
    case "$bytes":
      if (typeof json === "string") return new Uint8Array(Buffer.from(json, "base64"));
      break;
    case "$date":
      if (typeof json === "string") return new Date(json);
      break;
    case "$number":
      if (json === "NaN" || json === "Infinity" || json === "-Infinity" || json === "-0") {
        return Number(json);
      }
      break;
    case "$undefined":
      return undefined;
    case "$set":
      if (Array.isArray(json)) return new Set(json.map(fromJson));
      break;
    case "$map":
      if (isPairs(json)) return new Map(json.map(([k, v]) => [fromJson(k), fromJson(v)]));
      break;
    case "$object":
      if (isPairs(json)) {
        return Object.fromEntries(json.map(([name, part]) => [String(name), fromJson(part)]));
      }
      break;
  }
  const message = `the JSON {${JSON.stringify(mark)}: ...} cannot be read; see the marks that stand for values`;
  throw new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}

function isPairs(json: Json): json is readonly (readonly [Json, Json])[] {
  return Array.isArray(json) && json.every((pair) => Array.isArray(pair) && pair.length === 2);
}
