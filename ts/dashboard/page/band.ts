/** The hash range of a keyspace as a band: a piece for each shard, as wide as its range. */
import { HASHES, type KeyspaceOfView } from "../types.ts";
import type { Heat } from "./colours.ts";
import { Keyed, label, look, make, say } from "./dom.ts";
import { count, of, short } from "./format.ts";
import type { Metric } from "./model.ts";
import type { Piece } from "./pieces.ts";

/** Pixels that a piece needs to say its name as well, and to say its figure at all. */
const NAME_WIDTH = 96;
const FIGURE_WIDTH = 34;
/** Pixels of a piece that has room for a gap behind it. */
const GAP_WIDTH = 6;

interface Drawn {
  readonly element: HTMLElement;
  readonly name: HTMLElement;
  readonly figure: HTMLElement;
}

/** See the head of this file. */
export class Band {
  readonly element = make("div", { class: "band", attributes: { role: "img" } });
  private readonly pieces = new Keyed<Piece, Drawn>(this.element, () => draw());

  /** Draws the pieces; `most` is what has the strongest colour. */
  update(
    keyspace: KeyspaceOfView,
    pieces: readonly Piece[],
    metric: Metric,
    most: number,
    heat: Heat,
  ): void {
    const text = `Hash range of ${keyspace.name}: ${summary(keyspace)}`;
    label(this.element, "aria-label", text);
    const width = this.element.clientWidth;
    this.pieces.update(
      pieces,
      ({ key }) => key,
      ({ element, name, figure }, piece) => {
        const part = (piece.end - piece.start) / HASHES;
        const heated = (piece.value ?? 0) / most;
        look(element, piece.moves ? "shard moves" : "shard");
        const { style } = element;
        style.left = `${(piece.start / HASHES) * 100}%`;
        style.width = part * width > GAP_WIDTH ? `calc(${part * 100}% - 2px)` : `${part * 100}%`;
        style.backgroundColor = heat.of(heated);
        style.color = heat.ink(heated);
        say(name, part * width >= NAME_WIDTH ? piece.name : "");
        say(figure, part * width >= FIGURE_WIDTH ? figureOf(piece, metric, part * width) : "");
        label(element, "title", piece.title);
      },
    );
  }
}

function draw(): Drawn {
  const name = make("b");
  const figure = make("span");
  return { element: make("div", { class: "shard" }, [name, figure]), name, figure };
}

function figureOf({ value }: Piece, metric: Metric, width: number): string {
  if (value === null) return "";
  if (width < NAME_WIDTH) return short(value);
  return metric === "keys" ? of(value, "key") : `load ${short(value)}`;
}

function summary({ shards, count: all }: KeyspaceOfView): string {
  const moving = shards.filter(({ doing }) => doing !== null).length;
  const busy = moving === 0 ? "" : `, ${count(moving)} in a split or merge`;
  return `${of(all, "shard")}${busy}. The table below has them one by one.`;
}
