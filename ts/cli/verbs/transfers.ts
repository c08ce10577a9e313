/** `raft-kv split SHARD`, `raft-kv merge SHARD` */
import type { MovedShard } from "../../admin/types.ts";
import { EXIT, type Verb } from "../verb.ts";

export const split: Verb = {
  name: "split",
  parameters: "SHARD",
  summary: "split a shard in the middle of its range",
  details:
    "The keyspace's policy goes on working: it merges shards that are small enough, unless its\n" +
    "minShards keeps it from that.",
  async run({ server, screen, json, given: [shard], confirm }) {
    await confirm(`Split ${shard}?`);
    const moved = await server.call<MovedShard>("split", { shard });
    if (json) screen.json(moved);
    else screen.line(`${moved.from} was split: the upper half is ${moved.to}`);
    return EXIT.good;
  },
};

export const merge: Verb = {
  name: "merge",
  parameters: "SHARD",
  summary: "merge a shard into its left neighbour",
  details: "The keyspace's policy goes on working: it splits shards that are too large.",
  async run({ server, screen, json, given: [shard], confirm }) {
    await confirm(`Merge ${shard} into its left neighbour?`);
    const moved = await server.call<MovedShard>("merge", { shard });
    if (json) screen.json(moved);
    else screen.line(`${moved.from} was merged into ${moved.to}`);
    return EXIT.good;
  },
};
