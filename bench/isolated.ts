/**
 * Workloads in processes of their own: what one of them leaves in memory, and what the compiler
 * learnt from it, is no part of the next one's figures.
 */
import { fork } from "node:child_process";
import type { Context, Result, Workload } from "./suite.ts";

/** Runs a workload in a new process of this program, which is started with these arguments. */
export function runIsolated(
  { name, title }: Workload,
  args: readonly string[],
  { say }: Pick<Context, "say">,
): Promise<Result> {
  const start = performance.now();
  return new Promise((resolve) => {
    const child = fork(process.argv[1] ?? "", [...args, "--isolated", name], {
      execArgv: ["--expose-gc"],
    });
    let result: Result | undefined;
    child.on("message", (message) => {
      result = message as Result;
    });
    child.once("exit", (code, signal) => {
      if (result !== undefined) return resolve(result);
      const failure = `its process ended with ${signal ?? code}`;
      say(`  failed: ${failure}`);
      const seconds = (performance.now() - start) / 1000;
      const outcome = { cases: [], measures: [] };
      resolve({ workload: name, title, seconds, outcome, failure });
    });
  });
}
