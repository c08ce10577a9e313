/**
 * The heat map: the hash range from left to right as in the band above it, time downwards from now.
 * A border between shards is a line for as long as it exists; splits and merges are its two ends.
 */
import { HASHES, type Mark, type Sample } from "../types.ts";
import { type Cell, cellsOf } from "./cells.ts";
import type { Heat } from "./colours.ts";
import { label, make } from "./dom.ts";
import { clock, of, share, short } from "./format.ts";
import type { Metric } from "./model.ts";

/** A sample that came later than this after the one before leaves a gap: nobody collected. */
const GAP_MS = 4_000;
const MARK_RADIUS = 4.5;

/** What is drawn. */
export interface Drawn {
  readonly keyspace: string;
  readonly samples: readonly Sample[];
  readonly marks: readonly Mark[];
  /** What stands at the top, milliseconds since 1970. */
  readonly now: number;
  readonly seconds: number;
  readonly metric: Metric;
  readonly most: number;
  readonly heat: Heat;
  /** Colours of borders, and of what stands for splits and merges. */
  readonly ground: string;
  readonly ink: string;
}

/** See the head of this file. */
export class Waterfall {
  readonly element = make("canvas", { class: "waterfall", attributes: { role: "img" } });
  private drawn: Drawn | undefined;

  constructor(point: (text: string) => void) {
    this.element.addEventListener("pointermove", (event) => point(this.at(event)));
    this.element.addEventListener("pointerleave", () => point(""));
  }

  /** Draws everything anew. */
  update(drawn: Drawn): void {
    this.drawn = drawn;
    const { keyspace, marks, seconds } = drawn;
    const counted = (kind: Mark["kind"]) => marks.filter((mark) => mark.kind === kind).length;
    const what = `Load of ${keyspace} over the last ${seconds} seconds`;
    const text = `${what}: ${of(counted("split"), "split")}, ${of(counted("merge"), "merge")}.`;
    label(this.element, "aria-label", `${text} A table of it is below.`);
    const { element } = this;
    const scale = devicePixelRatio;
    const [width, height] = [element.clientWidth, element.clientHeight];
    if (width === 0) return;
    if (element.width !== Math.round(width * scale)) element.width = Math.round(width * scale);
    if (element.height !== Math.round(height * scale)) element.height = Math.round(height * scale);
    const context = element.getContext("2d");
    if (context === null) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    drawCells(context, drawn, width, height);
    drawMarks(context, drawn, width, height);
  }

  /** What is under the pointer, as a text. */
  private at({ offsetX, offsetY }: PointerEvent): string {
    const { drawn, element } = this;
    if (drawn === undefined) return "";
    const at = drawn.now - (offsetY / element.clientHeight) * drawn.seconds * 1000;
    const hash = (offsetX / element.clientWidth) * HASHES;
    const sample = drawn.samples.findLast((one) => one.at <= at);
    if (sample === undefined || at - sample.at > GAP_MS) return "";
    const cell = cellsOf(sample, drawn.keyspace).find(({ end }) => hash < end);
    return cell === undefined ? "" : `${clock(sample.at)}  ${said(cell)}`;
  }
}

function said({ start, end, load, keys }: Cell): string {
  const range = `from ${start}, ${share(start, end)} of the range`;
  if (load === null || keys === null) return `${range}: not counted yet`;
  return `${range}: load ${short(load)}, ${of(keys, "key")}`;
}

type Canvas = CanvasRenderingContext2D;

function drawCells(canvas: Canvas, drawn: Drawn, width: number, height: number): void {
  const { samples, keyspace, metric, most, heat, ground } = drawn;
  const y = (at: number) => ((drawn.now - at) / 1000 / drawn.seconds) * height;
  for (const [position, sample] of samples.entries()) {
    const next = samples[position + 1]?.at ?? drawn.now;
    const until = next - sample.at > GAP_MS ? sample.at + 1000 : next;
    const top = Math.max(0, y(until));
    const bottom = Math.min(height, y(sample.at));
    if (bottom <= top) continue;
    for (const cell of cellsOf(sample, keyspace)) {
      const left = (cell.start / HASHES) * width;
      const right = (cell.end / HASHES) * width;
      const value = cell[metric];
      if (value !== null) {
        canvas.fillStyle = heat.of(value / most);
        // A little over the edge: rounding must leave no hairlines.
        canvas.fillRect(left, top, right - left, bottom - top + 0.5);
      }
      if (cell.start === 0) continue;
      canvas.fillStyle = ground;
      canvas.fillRect(left - 1, top, 2, bottom - top + 0.5);
    }
  }
}

function drawMarks(canvas: Canvas, drawn: Drawn, width: number, height: number): void {
  for (const { at, kind, hash, keyspace } of drawn.marks) {
    const y = ((drawn.now - at) / 1000 / drawn.seconds) * height;
    if (keyspace !== drawn.keyspace || y > height) continue;
    const x = (hash / HASHES) * width;
    // Wholly inside, also while it is new.
    const inside = Math.max(y, MARK_RADIUS + 1);
    canvas.beginPath();
    canvas.moveTo(x, inside - MARK_RADIUS);
    canvas.lineTo(x + MARK_RADIUS, inside);
    canvas.lineTo(x, inside + MARK_RADIUS);
    canvas.lineTo(x - MARK_RADIUS, inside);
    canvas.closePath();
    // An edge of the ground's colour: the heat below may be as light or dark as the mark.
    canvas.lineWidth = 4;
    canvas.strokeStyle = drawn.ground;
    canvas.stroke();
    canvas.lineWidth = 1.5;
    canvas.strokeStyle = drawn.ink;
    canvas.stroke();
    canvas.fillStyle = kind === "split" ? drawn.ink : drawn.ground;
    canvas.fill();
  }
}
