/** `npm run bench`: measures the workloads of the registry and writes one report. See USAGE. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findPeers, installPeers, NO_PEERS } from "./contenders/peers.ts";
import { runIsolated } from "./isolated.ts";
import { writeReport } from "./output/write.ts";
import { WORKLOADS, workloadsOf } from "./registry.ts";
import { EXTENTS, type Result, runWorkload } from "./suite.ts";

const USAGE = `usage: npm run bench -- [--quick | --tiny] [--only NAME,NAME] [--output FOLDER] [--no-peers]
       npm run bench -- --list | --install-peers`;

/** This program is bundled into bench/dist. */
const BENCH = resolve(import.meta.dirname, "..");

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      tiny: { type: "boolean", default: false },
      only: { type: "string" },
      output: { type: "string", default: join(BENCH, "report") },
      "no-peers": { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      "install-peers": { type: "boolean", default: false },
      // How the suite starts its own processes, see isolated.ts.
      isolated: { type: "string" },
    },
  });
  const folder = process.env.RAFT_KV_BENCH_PEERS ?? join(BENCH, "peers");
  if (options["install-peers"]) return installPeers(folder);
  if (options.list) {
    for (const { name, title } of WORKLOADS) say(`${name.padEnd(12)} ${title}`);
    return;
  }
  if (options.isolated !== undefined) {
    process.once("disconnect", () => process.exit(130));
    process.channel?.unref();
  }
  const workloads = options.only === undefined ? WORKLOADS : workloadsOf(options.only.split(","));
  const extent = EXTENTS[options.tiny ? "tiny" : options.quick ? "quick" : "full"];
  const peers = options["no-peers"] ? NO_PEERS : findPeers(folder);
  if (options.isolated === undefined) for (const why of peers.skipped) say(`skipped: ${why}`);
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-bench-"));
  const stop = () => {
    rmSync(directory, { recursive: true, force: true });
    process.exit(130);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const context = { extent, directory, peers, say };
    if (options.isolated !== undefined) {
      for (const workload of workloadsOf([options.isolated])) {
        const result = await runWorkload(workload, context);
        await new Promise((resolve) => process.send?.(result, resolve));
      }
      return;
    }
    const results: Result[] = [];
    for (const workload of workloads) {
      results.push(await runIsolated(workload, process.argv.slice(2), context));
    }
    writeReport(options.output, context, results);
    say(`the report is ${join(options.output, "report.md")}`);
    if (results.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}\n`);
  process.exitCode = 2;
});
