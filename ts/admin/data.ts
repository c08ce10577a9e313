/** Looks at keys and values, and calls a keyspace's own code, with JSON on both sides. */
import type { Key } from "../codec/key.ts";
import { HASH_END, KEYS_PAGE } from "../limits.ts";
import { findKeyspace } from "./finding.ts";
import { fromJson, toJson } from "./json.ts";
import type { AdminPorts } from "./ports.ts";
import type { Json, KeysView, StoredValue } from "./types.ts";

/** What is stored under a key, without asking the module. */
export async function get(ports: AdminPorts, keyspace: string, key: Json): Promise<StoredValue> {
  findKeyspace(ports, keyspace);
  const { value, size, shard } = await ports.value(keyspace, fromJson(key) as Key);
  const found = value !== undefined;
  return { found, value: found ? toJson(value) : null, size, shard };
}

/** Runs the module's command on a key. */
export async function command(
  ports: AdminPorts,
  keyspace: string,
  key: Json,
  argument: Json | undefined,
): Promise<Json> {
  findKeyspace(ports, keyspace);
  return toJson(await ports.command(keyspace, fromJson(key) as Key, fromJson(argument)));
}

/** Asks the module's query about a key. */
export async function query(
  ports: AdminPorts,
  keyspace: string,
  key: Json,
  argument: Json | undefined,
): Promise<Json> {
  findKeyspace(ports, keyspace);
  return toJson(await ports.query(keyspace, fromJson(key) as Key, fromJson(argument)));
}

/** Which page of keys. */
export interface KeysOptions {
  /** The `next` of the page before. Default 0. */
  readonly from?: number | undefined;
  /** About how many keys, 1 to 1000. Default 1000. */
  readonly limit?: number | undefined;
}

/** A page of a keyspace's keys, in the order of their hashes. */
export async function keys(
  ports: AdminPorts,
  keyspace: string,
  { from = 0, limit = KEYS_PAGE }: KeysOptions = {},
): Promise<KeysView> {
  findKeyspace(ports, keyspace);
  const found: Json[] = [];
  let next = from;
  while (found.length < limit && next < HASH_END) {
    const page = await ports.keys(keyspace, next, Math.min(KEYS_PAGE, limit - found.length));
    for (const key of page.keys) found.push(toJson(key));
    next = page.next;
  }
  return { keys: found, next: next < HASH_END ? next : null };
}
