/** What raft-kv is measured against in the same run: no store can be faster than these. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Figures, runClients } from "./loop.ts";

/** An `async` function on a plain Map: what calling anything asynchronous costs in JavaScript. */
export function mapCeiling(clients: number, seconds: number, values: readonly unknown[]) {
  const map = new Map<string, unknown>();
  const set = async (key: string, value: unknown) => {
    map.set(key, value);
    return "ok";
  };
  const get = async (key: string) => map.get(key);
  return {
    set: () =>
      runClients(clients, seconds, (turn) =>
        set(`key-${turn % KEYS}`, values[turn % values.length]),
      ),
    get: () => runClients(clients, seconds, (turn) => get(`key-${turn % KEYS}`)),
  };
}

/** How many keys every workload touches. */
export const KEYS = 10_000;

/**
 * Appends of the same bytes to a plain file, each made durable before the next: what the disk
 * allows one client that waits for every write.
 */
export async function diskCeiling(
  directory: string,
  bytes: number,
  seconds: number,
): Promise<Figures> {
  const path = join(directory, "ceiling");
  const file = openSync(path, "w");
  const block = Buffer.alloc(bytes, 7);
  try {
    return await runClients(1, seconds, async () => {
      writeSync(file, block);
      fdatasyncSync(file);
    });
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
