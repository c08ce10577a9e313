/** Writes a report: Markdown, JSON, and a plot for each workload that has rates. */
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { join } from "node:path";
import type { Context, Result } from "../suite.ts";
import { markdown } from "./markdown.ts";
import { plot } from "./plot.ts";

/** Writes report.md, report.json and the plots into a folder. */
export function writeReport(
  folder: string,
  { extent, peers }: Context,
  results: readonly Result[],
): void {
  mkdirSync(folder, { recursive: true });
  const machine = {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cores: cpus().length,
    processor: cpus()[0]?.model ?? "unknown",
  };
  const head = [
    `${extent.name}: ${extent.rounds} rounds of ${extent.seconds} s each`,
    `Node.js ${machine.node}, ${machine.platform}, ${machine.cores} x ${machine.processor}`,
    `peers: ${peers.found.join(", ") || "none"}`,
    ...peers.skipped.map((why) => `skipped: ${why}`),
  ];
  const plotted = results.filter(({ outcome }) => outcome.cases.length > 0);
  for (const { workload, title, outcome } of plotted) {
    writeFileSync(join(folder, `${workload}.svg`), plot(title, outcome.cases));
  }
  const names = plotted.map(({ workload }) => workload);
  writeFileSync(join(folder, "report.md"), markdown(head, results, names));
  const { found, skipped } = peers;
  const whole = { date: new Date().toISOString(), machine, extent, found, skipped, results };
  writeFileSync(join(folder, "report.json"), `${JSON.stringify(whole, null, 2)}\n`);
}
