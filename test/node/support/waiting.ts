/** Waiting for what happens in the background. The limits only keep a failed test from hanging. */
import type { RaftKVNode, ShardInformation } from "../../../ts/index.ts";

const LIMIT_MS = 20_000;
const POLL_MS = 10;

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits until `look` gives something other than `undefined` or `false`. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  limit = LIMIT_MS,
): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`waited ${limit} ms in vain: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Waits until a keyspace has `count` shards and all of them serve. */
export function shardsServing(
  node: Pick<RaftKVNode, "kv">,
  keyspace: string,
  count: number,
): Promise<ShardInformation[]> {
  return eventually(`${count} shards of ${keyspace}`, async () => {
    const shards = await node.kv.shards(keyspace);
    const done = shards.length === count && shards.every(({ state }) => state === "serving");
    return done && shards;
  });
}

/** The names of a keyspace's shards. */
export function shardNames(node: Pick<RaftKVNode, "kv">, keyspace: string): Promise<string[]> {
  return node.kv.reduceKeyspaceShardNames(keyspace, [] as string[], (name, all) => [...all, name]);
}

/** Everything that an async iterable yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
