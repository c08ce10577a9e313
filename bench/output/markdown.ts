/** The report for people: one table per workload. */
import { goalOf, type Reached, reached } from "../goals.ts";
import { ratioOf } from "../statistics.ts";
import type { Case, Measure, Result } from "../suite.ts";

/** Operations per second in few characters. */
export function rateText(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  if (perSecond >= 1e4) return `${(perSecond / 1e3).toFixed(0)} k`;
  return perSecond.toFixed(0);
}

function duration(milliseconds: number): string {
  return milliseconds < 1
    ? `${(milliseconds * 1000).toFixed(0)} us`
    : `${milliseconds.toFixed(1)} ms`;
}

/** How many times another entry the first one is. */
export function ratioText(ratio: number | null): string {
  if (ratio === null) return "-";
  return ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2);
}

function caseRows(workload: string, one: Case): string[] {
  const { what, clients, bytes, entries } = one;
  const [own] = entries;
  return entries.map((entry, at) => {
    const { name, summary } = entry;
    const goal = goalOf(workload, one, entry);
    const ratio = own === undefined || at === 0 ? "" : ratioText(ratioOf(own.summary, summary));
    const cells = [
      ...[what, clients, bytes, name],
      `${rateText(summary.perSecond)} (${summary.spread.map(rateText).join(" to ")})`,
      ...[summary.p50, summary.p99, summary.max].map(duration),
      `${summary.cpuMicroseconds.toFixed(1)} us`,
      ratio,
      goal === undefined ? "" : `>= ${goal.ratio}`,
    ];
    return `| ${cells.join(" | ")} |`;
  });
}

function measureRow({ what, unit, values, goal }: Measure): string {
  const shown = values.map((value) => value.toPrecision(3)).join(", ");
  return `| ${what} | ${shown} ${unit} | ${goal === undefined ? "" : `<= ${goal} ${unit}`} |`;
}

function goalRow({ what, goal, value, unit, isReached }: Reached): string {
  return `| ${what} | ${goal} | ${value.toPrecision(3)} ${unit} | ${isReached ? "yes" : "no"} |`;
}

/** The whole report; `plots` names the workloads that have a plot beside it. */
export function markdown(
  head: readonly string[],
  results: readonly Result[],
  plots: readonly string[],
): string {
  const lines = ["# What was measured", "", ...head.map((line) => `- ${line}`), ""];
  lines.push(
    "Each figure is the best of the rounds, which were interleaved; the spread over the rounds is",
    "in brackets. A ratio says how many times the line's throughput the first line of its case has.",
  );
  const goals = reached(results);
  if (goals.length > 0) {
    lines.push("", "## Goals", "", "| what | goal | measured | reached |", "|---|---|---|---|");
    lines.push(...goals.map(goalRow));
  }
  for (const { workload, title, seconds, outcome, failure } of results) {
    lines.push("", `## ${workload}: ${title}`, "", `Took ${seconds.toFixed(0)} s.`);
    if (failure !== undefined) lines.push("", "Failed:", "", "```", failure, "```");
    if (plots.includes(workload)) lines.push("", `![${title}](${workload}.svg)`);
    if (outcome.cases.length > 0) {
      lines.push(
        "",
        "| what | clients | bytes | who | per second (spread) | p50 | p99 | max | CPU/op | ratio | goal |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        ...outcome.cases.flatMap((one) => caseRows(workload, one)),
      );
    }
    if (outcome.measures.length > 0) {
      lines.push("", "| what | rounds | goal |", "|---|---|---|");
      lines.push(...outcome.measures.map(measureRow));
    }
  }
  return `${lines.join("\n")}\n`;
}
