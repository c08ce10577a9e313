/**
 * Samples of the last minutes, and the splits and merges among them, which show as borders between
 * shards that come and go. Pure; bounded in samples, keyspaces, cells and marks.
 */
import {
  DASHBOARD_CELLS_MAX,
  DASHBOARD_KEYSPACES_MAX,
  DASHBOARD_MARKS_MAX,
  DASHBOARD_SAMPLES_MAX,
} from "../limits.ts";
import type { Mark, Rates, Sample } from "./types.ts";

/** The shards of a keyspace, in order of hash values. */
export interface Sampled {
  readonly name: string;
  readonly shards: readonly {
    readonly start: number;
    /** Load and keys are `null` until they are reported. */
    readonly load: number | null;
    readonly keys: number | null;
  }[];
}

/** The borders of a keyspace that has one shard. */
const WHOLE: ReadonlySet<number> = new Set([0]);

/** See the head of this file. */
export class History {
  readonly samples: Sample[] = [];
  readonly marks: Mark[] = [];
  /** The borders of each keyspace's shards when it was last looked at. */
  private readonly borders = new Map<string, ReadonlySet<number>>();

  /** Takes in how things are, lets go what is too old, and gives the marks that are new. */
  add(at: number, rates: Rates, keyspaces: readonly Sampled[]): Mark[] {
    const followed = keyspaces.slice(0, DASHBOARD_KEYSPACES_MAX);
    const cells: Record<string, Sample["cells"][string]> = {};
    const fresh: Mark[] = [];
    for (const { name, shards } of followed) {
      cells[name] = cellsOf(shards);
      fresh.push(...this.changes(at, name, new Set(shards.map(({ start }) => start))));
    }
    for (const name of this.borders.keys()) {
      if (!followed.some((one) => one.name === name)) this.borders.delete(name);
    }
    this.samples.push({ at, rates, cells });
    if (this.samples.length > DASHBOARD_SAMPLES_MAX) this.samples.shift();
    this.marks.push(...fresh);
    const oldest = this.samples[0]?.at ?? at;
    const first = this.marks.findIndex((mark) => mark.at >= oldest);
    this.marks.splice(0, first < 0 ? this.marks.length : first);
    this.marks.splice(0, Math.max(0, this.marks.length - DASHBOARD_MARKS_MAX));
    return fresh;
  }

  private changes(at: number, keyspace: string, now: ReadonlySet<number>): Mark[] {
    if (now.size === 0) return [];
    // A keyspace that was not there before began with one shard; of the first look nothing is known.
    const before = this.borders.get(keyspace) ?? (this.samples.length === 0 ? now : WHOLE);
    this.borders.set(keyspace, now);
    const changes: Mark[] = [];
    for (const hash of now) {
      if (!before.has(hash)) changes.push({ at, kind: "split", keyspace, hash });
    }
    for (const hash of before) {
      if (!now.has(hash)) changes.push({ at, kind: "merge", keyspace, hash });
    }
    return changes;
  }
}

/** Neighbours become one cell, with what they have together, where there are too many. */
function cellsOf(shards: Sampled["shards"]): (number | null)[] {
  const width = Math.max(1, Math.ceil(shards.length / DASHBOARD_CELLS_MAX));
  const cells: (number | null)[] = [];
  for (let first = 0; first < shards.length; first += width) {
    const some = shards.slice(first, first + width);
    const together = (of: "load" | "keys") => total(some.map((one) => one[of]));
    cells.push(some[0]?.start ?? 0, together("load"), together("keys"));
  }
  return cells;
}

/** The sum; unknown as soon as a part of it is. */
export function total(parts: readonly (number | null)[]): number | null {
  let sum = 0;
  for (const part of parts) {
    if (part === null) return null;
    sum += part;
  }
  return sum;
}
