/** `raft-kv top` */
import { setTimeout as sleep } from "node:timers/promises";
import type { HotShard, TopView } from "../../admin/types.ts";
import type { Column, Screen } from "../screen.ts";
import { count, short } from "../units.ts";
import { EXIT, UsageError, type Verb } from "../verb.ts";

const REFRESH_MS = 1000;

/** How full a shard is, as a bar. */
function bar(filled: number): string {
  const cells = 10;
  const full = Math.min(cells, Math.round(filled * cells));
  return `${"█".repeat(full)}${"·".repeat(cells - full)}`;
}

const COLUMNS: readonly Column<HotShard>[] = [
  { title: "SHARD", value: ({ shard }) => shard },
  { title: "LOAD", right: true, value: ({ load }) => short(load) },
  { title: "KEYS", right: true, value: ({ keys }) => count(keys) },
  { title: "SIZE", right: true, value: ({ size }) => short(size) },
  {
    title: "FILLED",
    value: ({ filled }) => `${bar(filled)} ${String(Math.round(filled * 100)).padStart(3)} %`,
    colour: ({ filled }) => (filled > 1 ? "red" : filled > 0.8 ? "yellow" : undefined),
  },
  { title: "LEADER", value: ({ leader }) => leader ?? "-" },
];

export const top: Verb = {
  name: "top",
  parameters: "",
  summary: "the shards under the greatest load, live",
  details:
    "On a terminal the table is drawn anew each second until Ctrl-C; elsewhere, with --once and\n" +
    "with --json it is printed once. FILLED is how far a shard has come towards its split.",
  options: {
    limit: { type: "string", help: "N: how many shards (20)" },
    once: { type: "boolean", help: "print the table once" },
  },
  async run({ server, screen, json, options }) {
    const limit = Number(options.limit ?? 20);
    if (!Number.isInteger(limit) || limit < 1) throw new UsageError("--limit takes a number");
    const ask = () => server.call<TopView>("top", { limit });
    const isLive = screen.isTerminal && !json && options.once !== true;
    if (isLive) return live(screen, ask);
    const view = await ask();
    if (json) screen.json(view);
    else for (const line of linesOf(screen, view)) screen.line(line);
    return EXIT.good;
  },
};

function linesOf(screen: Screen, { shards, intervalMs }: TopView): string[] {
  if (shards.length === 0) return [screen.paint("no shards", "dim")];
  const note = `load per ${intervalMs} ms, in the units of the keyspaces' own code`;
  return [...screen.lines(COLUMNS, shards), screen.paint(note, "dim")];
}

async function live(screen: Screen, ask: () => Promise<TopView>): Promise<typeof EXIT.good> {
  const ended = new AbortController();
  process.once("SIGINT", () => ended.abort());
  let drawn = 0;
  while (!ended.signal.aborted) {
    const lines = linesOf(screen, await ask()).slice(0, (process.stdout.rows || 24) - 2);
    screen.redraw(lines, drawn);
    drawn = lines.length;
    await sleep(REFRESH_MS, undefined, { signal: ended.signal }).catch(() => undefined);
  }
  return EXIT.good;
}
