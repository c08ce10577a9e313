/** The hash range of a keyspace as a band: a piece for each shard, as wide as its range. */
import { HASHES, type KeyspaceOfView, type ShardOfView } from "../types.ts";
import type { Heat } from "./colours.ts";
import { Keyed, label, look, make, say } from "./dom.ts";
import { count, of, share, short } from "./format.ts";
import type { Metric } from "./model.ts";

/** Pixels that a piece needs to say its name as well, and to say its figure at all. */
const NAME_WIDTH = 96;
const FIGURE_WIDTH = 34;

interface Piece {
  readonly element: HTMLElement;
  readonly name: HTMLElement;
  readonly figure: HTMLElement;
}

/** See the head of this file. */
export class Band {
  readonly element = make("div", { class: "band", attributes: { role: "img" } });
  private readonly pieces = new Keyed<ShardOfView, Piece>(this.element, () => piece());

  /** Draws the shards; `most` is what has the strongest colour. */
  update(keyspace: KeyspaceOfView, metric: Metric, most: number, heat: Heat): void {
    const { name, shards, count: all } = keyspace;
    label(this.element, "aria-label", `Hash range of ${name}: ${summary(shards, all)}`);
    const width = this.element.clientWidth;
    this.pieces.update(
      shards,
      (shard) => shard.name,
      ({ element, name: title, figure }, shard) => {
        const part = (shard.end - shard.start) / HASHES;
        const value = shard[metric] ?? 0;
        look(element, shard.doing === null ? "shard" : "shard moves");
        const { style } = element;
        style.left = `${(shard.start / HASHES) * 100}%`;
        // A gap of two pixels between neighbours, where there is room for it.
        style.width = part * width > 6 ? `calc(${part * 100}% - 2px)` : `${part * 100}%`;
        style.backgroundColor = heat.of(value / most);
        style.color = heat.ink(value / most);
        say(title, part * width >= NAME_WIDTH ? shard.name : "");
        say(figure, part * width >= FIGURE_WIDTH ? figureOf(shard, metric, part * width) : "");
        label(element, "title", titleOf(shard));
      },
    );
  }
}

function piece(): Piece {
  const name = make("b");
  const figure = make("span");
  return { element: make("div", { class: "shard" }, [name, figure]), name, figure };
}

function figureOf(shard: ShardOfView, metric: Metric, width: number): string {
  const value = shard[metric];
  if (value === null) return "";
  if (width < NAME_WIDTH) return short(value);
  return metric === "keys" ? of(value, "key") : `load ${short(value)}`;
}

/** What is known of a shard, in a line. */
export function titleOf({ name, start, end, keys, size, load, doing }: ShardOfView): string {
  const figures =
    keys === null
      ? "not counted yet"
      : `${of(keys, "key")}, size ${short(size ?? 0)}, load ${short(load ?? 0)}`;
  const moves = doing === null ? "" : `, ${doing}`;
  return `${name}: ${share(start, end)} of the hash range, ${figures}${moves}`;
}

function summary(shards: readonly ShardOfView[], all: number): string {
  const moving = shards.filter(({ doing }) => doing !== null).length;
  const busy = moving === 0 ? "" : `, ${count(moving)} in a split or merge`;
  return `${of(all, "shard")}${busy}. The table below has them one by one.`;
}
