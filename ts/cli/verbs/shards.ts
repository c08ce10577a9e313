/** `raft-kv shards KEYSPACE` */
import type { ShardInformation } from "../../admin/types.ts";
import type { Column } from "../screen.ts";
import { band, brief, count, short } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

const BAND_WIDTH = 16;

const COLUMNS: readonly Column<ShardInformation>[] = [
  {
    title: "HASH RANGE",
    value: ({ start, end }) => band(start, end, BAND_WIDTH),
    colour: () => "cyan",
    whole: true,
  },
  { title: "SHARD", value: ({ name }) => name },
  { title: "KEYS", right: true, value: ({ keys }) => count(keys) },
  { title: "SIZE", right: true, value: ({ size }) => short(size) },
  { title: "LOAD", right: true, value: ({ load }) => short(load) },
  { title: "LEADER", value: ({ leader }) => brief(leader ?? "-") },
  {
    title: "STATE",
    value: ({ state }) => (state === "unknown" ? "" : state),
    colour: ({ state }) => (state === "serving" ? "green" : "yellow"),
  },
];

export const shards: Verb = {
  name: "shards",
  parameters: "KEYSPACE",
  summary: "its shards: range, keys, size, load, leader",
  details: "Size and load are in the units of the keyspace's own code.",
  async run({ server, screen, json, given: [keyspace] }) {
    const views = await server.call<ShardInformation[]>("shards", { keyspace });
    if (json) screen.json(views);
    else screen.table(COLUMNS, views, "no shards yet");
    return EXIT.good;
  },
};
