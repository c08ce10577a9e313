/** One keyspace: its band, the heat map of its past, and both as tables. */
import type { KeyspaceOfView, View } from "../types.ts";
import { Band } from "./band.ts";
import { mostOf } from "./cells.ts";
import { Heat } from "./colours.ts";
import { draw, make, say, scrolls } from "./dom.ts";
import { ago, clock, count, of, per, short } from "./format.ts";
import type { Model } from "./model.ts";
import { piecesOf } from "./pieces.ts";
import { shardTable } from "./shard-table.ts";
import { type Slice, slicesOf } from "./slices.ts";
import { spanOf } from "./span.ts";
import { Table } from "./table.ts";
import { Waterfall } from "./waterfall.ts";

const DIAMOND = "M6 1 11 6 6 11 1 6Z";
/** What a sample says holds until the next: the newest has its row as well. */
const SAMPLE_MS = 1_000;
/** A table of so many shards is open from the start. */
const OPEN_SHARDS_MAX = 16;

/** See the head of this file. */
export class KeyspacePart {
  readonly element: HTMLElement;
  private readonly meta = make("p", { class: "meta" });
  private readonly band = new Band();
  private readonly pointed = make("span", { class: "pointed" });
  private readonly waterfall: Waterfall;
  private readonly times = make("div", { class: "times", attributes: { "aria-hidden": "true" } });
  private readonly ramp = make("span", { class: "ramp" });
  private readonly most = make("span");
  private readonly shards;
  private readonly slices: Table<Slice>;
  private readonly more = make("p", { class: "caption" });
  private readonly past: HTMLDetailsElement;
  private shownSpan = 0;

  constructor({ name, count: shards }: KeyspaceOfView) {
    this.waterfall = new Waterfall((text) => say(this.pointed, text));
    this.shards = shardTable(name);
    this.slices = sliceTable(name);
    const title = make("h3", { text: name, class: "mono" });
    this.ramp.append(...Array.from({ length: 6 }, (_, at) => swatch(at)));
    const table = folded("Shards as a table", this.shards.element);
    table.open = shards <= OPEN_SHARDS_MAX;
    table.append(this.more);
    this.past = folded("The last minutes as a table", this.slices.element);
    const picture = [this.band.element, this.waterfall.element, this.times];
    this.element = make("article", { class: "card keyspace", attributes: { "aria-label": name } }, [
      make("div", { class: "heading" }, [title, this.meta]),
      make("div", { class: "picture" }, picture),
      axis(),
      this.legend(),
      table,
      this.past,
    ]);
  }

  /** Shows how things are. */
  update(keyspace: KeyspaceOfView, view: View, model: Model): void {
    const { name, count: all, keys } = keyspace;
    const { metric, samples } = model;
    const load = keyspace.shards.reduce((sum, shard) => sum + (shard.load ?? 0), 0);
    const interval = per(view.loadInterval);
    const counted = keys === null ? "keys are being counted" : of(keys, "key");
    say(this.meta, `${of(all, "shard")}, ${counted}, load ${short(load)} ${interval}`);
    const past = (view.at - (samples[0]?.at ?? view.at)) / 1000;
    const span = spanOf(past);
    this.showTimes(span.labels, span.seconds);
    const recent = samples.filter(({ at }) => at >= view.at - span.seconds * 1000);
    const most = mostOf(recent, name, metric);
    const heat = new Heat(this.ramp.children);
    this.band.update(keyspace, piecesOf(keyspace, view.sample, metric), metric, most, heat);
    const { backgroundColor, color } = getComputedStyle(this.element);
    const marks = view.marks.filter((mark) => mark.keyspace === name);
    this.waterfall.update({
      ...{
        keyspace: name,
        samples: recent,
        marks,
        now: view.at + SAMPLE_MS,
        seconds: span.seconds,
      },
      ...{ metric, most, heat, ground: backgroundColor, ink: color },
    });
    say(this.most, metric === "keys" ? of(most, "key") : `load ${short(most)} ${interval}`);
    this.shards.update(keyspace.shards, (shard) => shard.name);
    const left = all - keyspace.shards.length;
    say(this.more, left > 0 ? `${of(left, "further shard")} beyond these.` : "");
    if (this.past.open) this.slices.update(slicesOf(samples, marks, name), ({ from }) => `${from}`);
  }

  private legend(): HTMLElement {
    const entry = (text: string, filled: boolean) =>
      make("span", {}, [
        draw(
          "svg",
          { viewBox: "0 0 12 12", class: filled ? "filled" : "", "aria-hidden": "true" },
          [draw("path", { d: DIAMOND })],
        ),
        text,
      ]);
    const scale = make("span", {}, ["0", this.ramp, this.most]);
    const marks = [entry("split", true), entry("merge", false)];
    return make("div", { class: "legend" }, [scale, ...marks, this.pointed]);
  }

  private showTimes(labels: readonly number[], seconds: number): void {
    if (this.shownSpan === seconds) return;
    this.shownSpan = seconds;
    const spans = labels.map((at) => {
      const element = make("span", { text: ago(at) });
      element.style.top = `${(at / seconds) * 100}%`;
      return element;
    });
    this.times.replaceChildren(...spans);
  }
}

function swatch(at: number): HTMLElement {
  const element = make("i");
  element.style.backgroundColor = `var(--heat-${at})`;
  return element;
}

/** Where in the hash range things are; for eyes alone, the tables say it in words. */
function axis(): HTMLElement {
  const texts = ["0", "¼", "½", "¾", "2²⁷"];
  const element = make("div", { class: "axis", attributes: { "aria-hidden": "true" } });
  for (const [at, text] of texts.entries()) {
    const mark = make("span", { text });
    mark.style.left = `${(at / (texts.length - 1)) * 100}%`;
    element.append(mark);
  }
  return element;
}

function folded(title: string, table: HTMLElement): HTMLDetailsElement {
  const scroll = make("div", {}, [table]);
  scrolls(scroll, title);
  return make("details", {}, [make("summary", { text: title }), scroll]);
}

function sliceTable(keyspace: string): Table<Slice> {
  return new Table<Slice>(`Load of ${keyspace} over the last minutes, newest first`, [
    { title: "Time", text: ({ from, to }) => `${clock(from)} – ${clock(to)}` },
    { title: "Shards", kind: "number", text: ({ shards }) => count(shards) },
    { title: "Keys", kind: "number", text: ({ keys }) => count(keys) },
    { title: "Load", kind: "number", text: ({ load }) => short(load) },
    { title: "Splits", kind: "number", text: ({ splits }) => count(splits) },
    { title: "Merges", kind: "number", text: ({ merges }) => count(merges) },
    { title: "Hottest range", text: ({ hottest }) => hottest },
  ]);
}
