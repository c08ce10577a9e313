/** Draws the shards of a keyspace as a band of the hash range, for a terminal. */
import type { ShardInformation } from "raft-kv";

const WIDTH = 48;
const HASH_SPACE = 2 ** 27;

/** One line a shard: its part of the hash range, its name, how many keys it has. */
export function drawShards(shards: readonly ShardInformation[]): string {
  const longest = Math.max(...shards.map(({ name }) => name.length));
  const lines = shards.map(({ name, start, end, keys, state }) => {
    const from = Math.round((start / HASH_SPACE) * WIDTH);
    const to = Math.round((end / HASH_SPACE) * WIDTH);
    const band = `${"·".repeat(from)}${"█".repeat(to - from)}${"·".repeat(WIDTH - to)}`;
    const doing = state === "serving" ? "" : `  ${state}`;
    return `  ${band}  ${name.padEnd(longest)} ${String(keys).padStart(5)} keys${doing}`;
  });
  return lines.join("\n");
}
