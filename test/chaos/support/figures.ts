/** What processes use over time, and whether it stays flat. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What a node uses at a moment. */
export interface Figures {
  /** Resident memory, in MiB. */
  readonly memory: number;
  /** Files of its data directory, in MiB. */
  readonly disk: number;
  /** Open file handles. */
  readonly handles: number;
}

/** Names of the figures, and how fast each may grow after the warm-up. */
export const FIGURES = ["memory", "disk", "handles"] as const;

/** A figure at a time, in minutes. */
export interface Sample {
  readonly minute: number;
  readonly value: number;
}

/** Measures a process and its directory. */
export function measure(pid: number, directory: string): Figures {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
  return {
    memory: kibibytes / 1024,
    disk: bytesUnder(directory) / 2 ** 20,
    handles: readdirSync(`/proc/${pid}/fd`).length,
  };
}

function bytesUnder(directory: string): number {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true });
  let bytes = 0;
  for (const file of files) {
    if (!file.isFile()) continue;
    // It may have been removed since it was listed.
    bytes += statSync(join(file.parentPath, file.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

/** How much a figure grows in a minute: the slope of the line that fits the samples best. */
export function slope(samples: readonly Sample[]): number {
  const count = samples.length;
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / count;
  const middle = mean(({ minute }) => minute);
  const level = mean(({ value }) => value);
  const together = mean(({ minute, value }) => (minute - middle) * (value - level));
  const spread = mean(({ minute }) => (minute - middle) ** 2);
  return spread === 0 ? 0 : together / spread;
}

/** The largest and the average value. */
export function extent(samples: readonly Sample[]): { readonly most: number; mean: number } {
  const values = samples.map(({ value }) => value);
  return {
    most: Math.max(...values),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
  };
}
