/** What no store can be faster than. */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Contender } from "./contender.ts";

/** An `async` function on a plain Map: what calling anything asynchronous costs in JavaScript. */
export function mapCeiling(): Contender {
  const map = new Map<string, string>();
  const counts = new Map<string, number>();
  return {
    name: "Map",
    role: "ceiling",
    set: async (key, value) => {
      map.set(key, value);
      return "ok";
    },
    get: async (key) => map.get(key),
    increment: async (key) => {
      const next = (counts.get(key) ?? 0) + 1;
      counts.set(key, next);
      return next;
    },
    close: async () => {},
  };
}

/** A file that is appended to; each append is durable before it is acknowledged. */
export function diskCeiling(directory: string, bytes: number) {
  const file = openSync(join(directory, "ceiling"), "w");
  const block = Buffer.alloc(bytes, 7);
  return {
    name: "write + fdatasync",
    role: "ceiling" as const,
    operation: async () => {
      writeSync(file, block);
      fdatasyncSync(file);
    },
    close: () => closeSync(file),
  };
}
