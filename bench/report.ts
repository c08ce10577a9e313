/** Tables of what was measured, for people (Markdown) and programs (JSON). */
import type { Figures } from "./loop.ts";

/** One row: a workload, its figures, and the ceiling's beside it. */
export interface Row {
  readonly workload: string;
  readonly clients: number;
  readonly bytes: number;
  readonly figures: Figures;
  /** What the same loop reached on the ceiling, operations per second; best of the rounds. */
  readonly ceiling: number;
  readonly ceilingName: string;
  /** Lowest and highest operations per second over the rounds. */
  readonly spread: readonly [number, number];
  /** The ratio asked for, if one is. */
  readonly goal?: number;
  /** The operations per second asked for, if they are. */
  readonly goalRate?: number;
}

/** The run with the most operations per second. */
export function best(runs: readonly Figures[]): Figures {
  return runs.reduce((a, b) => (b.perSecond > a.perSecond ? b : a));
}

/** The row of some runs beside those of their ceiling. */
export function rowOf(
  what: Pick<Row, "workload" | "clients" | "bytes">,
  runs: readonly Figures[],
  ceilingName: string,
  ceiling: readonly Figures[],
): Row {
  const rates = runs.map(({ perSecond }) => perSecond);
  return {
    ...what,
    figures: best(runs),
    ceiling: best(ceiling).perSecond,
    ceilingName,
    spread: [Math.min(...rates), Math.max(...rates)],
  };
}

function rate(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  if (perSecond >= 1e4) return `${(perSecond / 1e3).toFixed(0)} k`;
  return perSecond.toFixed(0);
}

function duration(milliseconds: number): string {
  return milliseconds < 1
    ? `${(milliseconds * 1000).toFixed(0)} us`
    : `${milliseconds.toFixed(1)} ms`;
}

function goalText(goalRate: number | undefined): string {
  return goalRate === undefined ? "" : `>= ${rate(goalRate)}/s`;
}

/** The rows as a Markdown table. */
export function markdown(rows: readonly Row[]): string {
  const head = [
    "| workload | clients | bytes | per second (spread) | p50 | p99 | max | CPU/op | ceiling | ratio | goal |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
  ];
  const lines = rows.map(
    ({ workload, clients, bytes, figures, ceiling, ceilingName, spread, goal, goalRate }) => {
      const cells = [
        workload,
        clients,
        bytes,
        `${rate(figures.perSecond)} (${rate(spread[0])} to ${rate(spread[1])})`,
        duration(figures.p50),
        duration(figures.p99),
        duration(figures.max),
        `${figures.cpuMicroseconds.toFixed(1)} us`,
        `${ceilingName} ${rate(ceiling)}`,
        (figures.perSecond / ceiling).toFixed(3),
        goal === undefined ? goalText(goalRate) : `>= ${goal}`,
      ];
      return `| ${cells.join(" | ")} |`;
    },
  );
  return [...head, ...lines].join("\n");
}
