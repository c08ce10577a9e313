/** `raft-kv groups` */
import type { GroupView } from "../../admin/types.ts";
import type { Column } from "../screen.ts";
import { brief } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

const COLUMNS: readonly Column<GroupView>[] = [
  { title: "GROUP", value: ({ name }) => name },
  {
    title: "STATE",
    value: ({ state }) => state,
    colour: ({ state }) => (state === "ok" ? "green" : state === "no leader" ? "red" : "yellow"),
  },
  { title: "LEADER", value: ({ leader }) => leader ?? "-" },
  { title: "VOTERS", value: ({ members }) => members.map(brief).join(" ") },
];

export const groups: Verb = {
  name: "groups",
  parameters: "",
  summary: "all consensus groups: leader, voters, state",
  details: "Each shard is a group under its own name. Node names stand without their `node-`.",
  async run({ server, screen, json }) {
    const views = await server.call<GroupView[]>("groups");
    if (json) screen.json(views);
    else screen.table(COLUMNS, views, "no groups");
    return EXIT.good;
  },
};
