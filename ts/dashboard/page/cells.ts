/** Reads the cells of samples. Pure. */
import { CELL_NUMBERS, HASHES, type Sample } from "../types.ts";
import type { Metric } from "./model.ts";

/** What one or more shards had at a moment; `null` is what was not counted yet. */
export interface Cell {
  readonly start: number;
  readonly end: number;
  readonly load: number | null;
  readonly keys: number | null;
}

/** The cells of a keyspace in a sample, in order of hash values. */
export function cellsOf({ cells }: Sample, keyspace: string): Cell[] {
  const numbers = cells[keyspace] ?? [];
  const found: Cell[] = [];
  for (let at = 0; at < numbers.length; at += CELL_NUMBERS) {
    const [start = 0, load = null, keys = null] = numbers.slice(at, at + CELL_NUMBERS);
    found.push({ start: start ?? 0, end: numbers[at + CELL_NUMBERS] ?? HASHES, load, keys });
  }
  return found;
}

/** The most that any cell of these samples has, at least 1. */
export function mostOf(samples: readonly Sample[], keyspace: string, metric: Metric): number {
  let most = 1;
  for (const sample of samples) {
    for (const cell of cellsOf(sample, keyspace)) most = Math.max(most, cell[metric] ?? 0);
  }
  return most;
}

/** The keys of all keyspaces in a sample; `null` while some are not counted. */
export function keysOf({ cells }: Sample): number | null {
  let keys = 0;
  for (const numbers of Object.values(cells)) {
    for (let at = CELL_NUMBERS - 1; at < numbers.length; at += CELL_NUMBERS) {
      const some = numbers[at] ?? null;
      if (some === null) return null;
      keys += some;
    }
  }
  return keys;
}

/** Values in order of time, with the last known one in place of those that are not known. */
export function carried(values: readonly (number | null)[]): (number | null)[] {
  let last: number | null = null;
  return values.map((value) => {
    last = value ?? last;
    return last;
  });
}
