/** The shards of a keyspace as a table, which has all that the band shows and more. */
import type { ShardOfView } from "../types.ts";
import { label, look, make, say } from "./dom.ts";
import { brief, count, percent, share, short } from "./format.ts";
import { fillState, Table } from "./table.ts";

/** Makes the table. */
export function shardTable(keyspace: string): Table<ShardOfView> {
  const figure = (value: number | null, text: (value: number) => string) =>
    value === null ? "–" : text(value);
  return new Table<ShardOfView>(`Shards of ${keyspace}`, [
    { title: "Shard", kind: "mono", text: ({ name }) => name },
    { title: "Range", kind: "number", text: ({ start, end }) => share(start, end) },
    { title: "Keys", kind: "number", text: ({ keys }) => figure(keys, count) },
    { title: "Size", kind: "number", text: ({ size }) => figure(size, short) },
    { title: "Load", kind: "number", text: ({ load }) => figure(load, short) },
    { title: "Filled", fill: (cell, { filled }) => fillMeter(cell, filled) },
    {
      title: "State",
      fill: (cell, { doing }) =>
        fillState(cell, doing ?? "serving", doing === null ? "good" : "warn"),
    },
    {
      title: "Leader",
      kind: "mono",
      text: ({ leader }) => (leader === null ? "–" : brief(leader)),
    },
  ]);
}

function fillMeter(cell: HTMLElement, filled: number): void {
  if (cell.firstElementChild === null) {
    const meter = make("span", { attributes: { "aria-hidden": "true" } }, [make("i")]);
    cell.append(make("span", { class: "bar-cell" }, [meter, make("span")]));
  }
  const [meter, text] = cell.querySelectorAll<HTMLElement>(".bar-cell > span");
  const bar = meter?.querySelector("i");
  if (meter === undefined || text === undefined || bar == null) return;
  look(meter, filled > 1 ? "meter over" : "meter");
  bar.style.width = `${Math.min(1, filled) * 100}%`;
  say(text, percent(filled));
  label(cell, "title", "how far it has come towards its split");
}
