/** Reads the cells of samples. Pure. */
import { CELL_NUMBERS, HASHES, type Sample } from "../types.ts";
import type { Metric } from "./model.ts";

/** What one or more shards had at a moment. */
export interface Cell {
  readonly start: number;
  readonly end: number;
  readonly load: number;
  readonly keys: number;
}

/** The cells of a keyspace in a sample, in order of hash values. */
export function cellsOf({ cells }: Sample, keyspace: string): Cell[] {
  const numbers = cells[keyspace] ?? [];
  const found: Cell[] = [];
  for (let at = 0; at < numbers.length; at += CELL_NUMBERS) {
    const [start = 0, load = 0, keys = 0] = numbers.slice(at, at + CELL_NUMBERS);
    found.push({ start, end: numbers[at + CELL_NUMBERS] ?? HASHES, load, keys });
  }
  return found;
}

/** The most that any cell of these samples has, at least 1. */
export function mostOf(samples: readonly Sample[], keyspace: string, metric: Metric): number {
  const offset = metric === "load" ? 1 : 2;
  let most = 1;
  for (const { cells } of samples) {
    const numbers = cells[keyspace] ?? [];
    for (let at = offset; at < numbers.length; at += CELL_NUMBERS) {
      most = Math.max(most, numbers[at] ?? 0);
    }
  }
  return most;
}
