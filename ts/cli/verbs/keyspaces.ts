/** `raft-kv keyspaces` */
import type { KeyspaceView } from "../../admin/types.ts";
import type { Column } from "../screen.ts";
import { count, short } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

/** The thresholds of a policy in few characters. */
function thresholds({ policy }: KeyspaceView): string {
  const { maxKeysPerShard: keys, maxSizePerShard: size, maxLoadPerShard: load } = policy;
  const set = [
    keys === undefined ? "" : `keys>${short(keys)}`,
    size === undefined ? "" : `size>${short(size)}`,
    load === undefined ? "" : `load>${short(load)}`,
  ].filter((text) => text !== "");
  return set.length === 0 ? "never" : set.join(" ");
}

const COLUMNS: readonly Column<KeyspaceView>[] = [
  { title: "KEYSPACE", value: ({ name }) => name },
  {
    title: "SHARDS",
    right: true,
    value: ({ shards, policy }) => `${shards}/${policy.maxShards}`,
  },
  { title: "KEYS", right: true, value: ({ keys }) => count(keys) },
  { title: "SIZE", right: true, value: ({ size }) => short(size) },
  { title: "LOAD", right: true, value: ({ load }) => short(load) },
  { title: "REPLICAS", right: true, value: ({ replicas }) => String(replicas) },
  { title: "SPLITS AT", value: thresholds },
];

export const keyspaces: Verb = {
  name: "keyspaces",
  parameters: "",
  summary: "all keyspaces: shards, keys, size, policy",
  async run({ server, screen, json }) {
    const views = await server.call<KeyspaceView[]>("keyspaces");
    if (json) screen.json(views);
    else screen.table(COLUMNS, views, "no keyspaces");
    return EXIT.good;
  },
};
