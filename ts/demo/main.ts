/**
 * `npm start`: the README example on real Raft groups with a real log in a scratch directory. A
 * child process runs it, is killed with SIGKILL in the middle of writing, and comes back.
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Report } from "./program.ts";
import { runProgram } from "./program.ts";

/** After how many acknowledged writes the child is killed. */
const KILL_AFTER = 160;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs the program in a child; resolves with what it acknowledged, and how it ended. */
function runChild(directory: string, killAfter: number): Promise<{ acknowledged: number }> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ["--child", directory]);
    let acknowledged = 0;
    let failed = "";
    child.on("message", (report: Report) => {
      if (report.type === "line") say(report.text);
      if (report.type === "failed") failed = report.text;
      if (report.type !== "acknowledged") return;
      acknowledged = report.count;
      if (acknowledged >= killAfter) child.kill("SIGKILL");
    });
    child.on("exit", (code, signal) => {
      if (code === 0 || signal === "SIGKILL") resolve({ acknowledged });
      else reject(new Error(failed || `the example ended with code ${code}`));
    });
  });
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-"));
  try {
    say("raft-kv: the README example, with a log in a scratch directory\n");
    const first = await runChild(directory, KILL_AFTER);
    say(`\n  -- killed with SIGKILL after ${first.acknowledged} acknowledged writes --\n`);
    await runChild(directory, Number.POSITIVE_INFINITY);
    say("\nDone. The same few lines are in README.md; put them into your own service.");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[2] === "--child") {
  await runProgram(process.argv[3] ?? ":memory:", (report) => process.send?.(report));
  process.disconnect();
} else {
  await main();
}
