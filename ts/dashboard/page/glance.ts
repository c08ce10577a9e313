/** Rates and latencies: the numbers of now, each with its last minutes. */
import type { Latency, Rates, Sample, View } from "../types.ts";
import { carried, keysOf } from "./cells.ts";
import { make, part, say, scrolls } from "./dom.ts";
import { clock, count, duration, of, short } from "./format.ts";
import type { Model } from "./model.ts";
import { Spark } from "./spark.ts";
import { Table } from "./table.ts";

interface Tile {
  readonly title: string;
  readonly unit: string;
  /** The number, without its unit. */
  value(view: View, samples: readonly Sample[]): string;
  more(view: View): string;
  /** What is drawn of each sample; `null` draws nothing. */
  drawn(samples: readonly Sample[]): (number | null)[];
}

const TILES: readonly Tile[] = [
  {
    ...{ title: "Commands", unit: "/ s" },
    value: ({ sample }) => short(sample.rates.commandsPerSecond),
    more: ({ sample }) => `${count(sample.rates.inFlight)} in flight`,
    drawn: (samples) => samples.map(({ rates }) => rates.commandsPerSecond),
  },
  {
    ...{ title: "Queries", unit: "/ s" },
    value: ({ sample }) => short(sample.rates.queriesPerSecond),
    more: () => "",
    drawn: (samples) => samples.map(({ rates }) => rates.queriesPerSecond),
  },
  latencyTile("A command takes", ({ command }) => command),
  latencyTile("A query takes", ({ query }) => query),
  {
    ...{ title: "Keys", unit: "" },
    // As they were last counted: those of a shard that was just split or merged are not at once.
    value: (_, samples) => short(carried(samples.map(keysOf)).at(-1) ?? 0),
    more: ({ keyspaces }) => {
      const shards = keyspaces.reduce((sum, keyspace) => sum + keyspace.count, 0);
      return `in ${of(shards, "shard")}`;
    },
    drawn: (samples) => carried(samples.map(keysOf)),
  },
];

/** Rows of the table: a sample of each so many seconds. */
const ROW_SECONDS = 15;

/** See the head of this file. */
export class Glance {
  private readonly tiles = TILES.map((tile) => shown(tile));
  private readonly details = part<HTMLDetailsElement>("rates");
  private readonly table = rateTable();

  constructor() {
    part("tiles").append(...this.tiles.map(({ element }) => element));
    const scroll = make("div", {}, [this.table.element]);
    scrolls(scroll, "Rates as a table");
    this.details.append(scroll);
  }

  /** Shows how things are. */
  update(view: View, { samples }: Model): void {
    for (const { tile, value, more, spark } of this.tiles) {
      say(value, tile.value(view, samples));
      say(more, tile.more(view));
      spark.update(tile.drawn(samples));
    }
    if (!this.details.open) return;
    const rows = samples.filter(
      ({ at }, position) =>
        Math.floor(at / 1000 / ROW_SECONDS) !==
        Math.floor((samples[position - 1]?.at ?? 0) / 1000 / ROW_SECONDS),
    );
    this.table.update(rows.reverse(), ({ at }) => `${at}`);
  }
}

function latencyTile(title: string, find: (rates: Rates) => Latency): Tile {
  const text = (seconds: number | null) => (seconds === null ? "–" : `≤ ${duration(seconds)}`);
  return {
    ...{ title, unit: "" },
    value: ({ sample }) => text(find(sample.rates).median),
    more: ({ sample }) => {
      const { p99 } = find(sample.rates);
      return p99 === null ? "none just now" : `99 of 100 ${text(p99)}`;
    },
    drawn: (samples) => samples.map(({ rates }) => find(rates).p99),
  };
}

function shown(tile: Tile) {
  const value = make("span");
  const more = make("dd", { class: "more" });
  const spark = new Spark();
  const line = [value, " ", make("span", { class: "unit", text: tile.unit })];
  const element = make("div", {}, [
    make("dt", { text: tile.title }),
    make("dd", { class: "value" }, line),
    more,
    make("dd", {}, [spark.element]),
  ]);
  return { tile, element, value, more, spark };
}

function rateTable(): Table<Sample> {
  const seconds = (value: number | null) => (value === null ? "–" : `≤ ${duration(value)}`);
  return new Table<Sample>("Rates and latencies over the last minutes, newest first", [
    { title: "Time", text: ({ at }) => clock(at) },
    { title: "Commands / s", kind: "number", text: ({ rates }) => short(rates.commandsPerSecond) },
    { title: "Command, half", kind: "number", text: ({ rates }) => seconds(rates.command.median) },
    { title: "99 of 100", kind: "number", text: ({ rates }) => seconds(rates.command.p99) },
    { title: "Queries / s", kind: "number", text: ({ rates }) => short(rates.queriesPerSecond) },
    { title: "Query, half", kind: "number", text: ({ rates }) => seconds(rates.query.median) },
    { title: "99 of 100", kind: "number", text: ({ rates }) => seconds(rates.query.p99) },
    { title: "In flight", kind: "number", text: ({ rates }) => count(rates.inFlight) },
  ]);
}
