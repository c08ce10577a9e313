/** `raft-kv nodes` */
import type { NodeView } from "../../admin/types.ts";
import type { Colour, Column } from "../screen.ts";
import { bytes, duration } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

const COLOURS: Readonly<Record<NodeView["state"], Colour | undefined>> = {
  active: "green",
  draining: "yellow",
  drained: "yellow",
  leaving: "yellow",
  unreachable: "red",
  purged: "red",
};

const COLUMNS: readonly Column<NodeView>[] = [
  { title: "NODE", value: ({ name }) => name },
  { title: "ZONE", value: ({ zone }) => zone },
  { title: "STATE", value: ({ state }) => state, colour: ({ state }) => COLOURS[state] },
  { title: "LEADS", right: true, value: ({ leads, voters }) => `${leads ?? "-"}/${voters}` },
  {
    title: "UP",
    right: true,
    value: ({ uptimeSeconds: up }) => (up === null ? "-" : duration(up)),
  },
  { title: "MEM", right: true, value: ({ memoryBytes: size }) => sizeOf(size) },
  { title: "DISK", right: true, value: ({ diskBytes: size }) => sizeOf(size) },
  { title: "ADDRESS", value: ({ address }) => address ?? "-" },
];

export const nodes: Verb = {
  name: "nodes",
  parameters: "",
  summary: "all nodes: zone, state, groups, memory",
  details: "LEADS: of how many groups it votes in it leads how many. MEM: memory of its process.",
  async run({ server, screen, json }) {
    const views = await server.call<NodeView[]>("nodes");
    if (json) screen.json(views);
    else screen.table(COLUMNS, views, "no nodes");
    return EXIT.good;
  },
};

/** `126.5 MiB` as `126M`. */
function brief(text: string): string {
  const [value = "", unit = ""] = text.split(" ");
  return `${Math.round(Number(value))}${unit[0]}`;
}

function sizeOf(size: number | null): string {
  return size === null ? "-" : brief(bytes(size));
}
