/** The last minutes of a keyspace in a few rows: the heat map for those who read tables. Pure. */
import type { Mark, Sample } from "../types.ts";
import { carried, cellsOf, keysOf } from "./cells.ts";
import { share } from "./format.ts";

/** A part of the time that is kept. */
export interface Slice {
  /** Its first and last sample, milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** At its end; the keys as they were last counted. */
  readonly shards: number;
  readonly keys: number;
  /** Mean load of the whole keyspace. */
  readonly load: number;
  /** The range that was under the greatest load, and its part of the hash range. */
  readonly hottest: string;
  readonly splits: number;
  readonly merges: number;
}

const SLICE_MS = 30_000;

/** The slices, newest first. */
export function slicesOf(
  samples: readonly Sample[],
  marks: readonly Mark[],
  keyspace: string,
): Slice[] {
  const groups = new Map<number, Sample[]>();
  for (const sample of samples) {
    if (sample.cells[keyspace] === undefined) continue;
    const slot = Math.floor(sample.at / SLICE_MS);
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [sample]);
    else group.push(sample);
  }
  const own = marks.filter((mark) => mark.keyspace === keyspace);
  return [...groups].map(([slot, group]) => sliceOf(group, keyspace, inSlot(own, slot))).reverse();
}

function inSlot(marks: readonly Mark[], slot: number): Mark[] {
  return marks.filter(({ at }) => Math.floor(at / SLICE_MS) === slot);
}

function sliceOf(samples: readonly Sample[], keyspace: string, marks: readonly Mark[]): Slice {
  const cells = samples.map((sample) => cellsOf(sample, keyspace));
  const last = cells.at(-1) ?? [];
  const total = cells.flat().reduce((sum, { load }) => sum + (load ?? 0), 0);
  const hot = cells.flat().reduce((a, b) => ((b.load ?? 0) > (a.load ?? 0) ? b : a), NOTHING);
  return {
    from: samples[0]?.at ?? 0,
    to: samples.at(-1)?.at ?? 0,
    shards: last.length,
    keys: carried(samples.map(keysOfKeyspace(keyspace))).at(-1) ?? 0,
    load: total / Math.max(1, samples.length),
    hottest: hot.load === 0 ? "none" : `from ${hot.start}, ${share(hot.start, hot.end)}`,
    splits: marks.filter(({ kind }) => kind === "split").length,
    merges: marks.filter(({ kind }) => kind === "merge").length,
  };
}

const NOTHING = { start: 0, end: 0, load: 0, keys: 0 };

function keysOfKeyspace(keyspace: string): (sample: Sample) => number | null {
  return ({ at, rates, cells }) => keysOf({ at, rates, cells: { only: cells[keyspace] ?? [] } });
}
