/**
 * `npm run verify`: every check that reads only. `npm run fix` changes what can be changed.
 */
import { staleBinding } from "./sources.mjs";
import { run, ScriptError, script, step, tool } from "./steps.mjs";
import { requireRust } from "./toolchain.mjs";

/** @type {readonly (readonly [string, () => Promise<unknown>])[]} */
const CHECKS = [
  ["format and lint of TypeScript", () => tool("biome", ["check", "."])],
  ["types", () => tool("tsc", ["-p", "."])],
  ["types of the dashboard's page", () => tool("tsc", ["-p", "ts/dashboard/page"])],
  ["generated files", checkGenerated],
  ["docstrings", () => tool("typedoc", ["--emit", "none"])],
  ["architecture", () => tool("vitest", ["run", "test/architecture.test.ts"], { quiet: true })],
  ["Rust toolchain", requireRust],
  ["format of Rust", () => run("cargo", ["fmt", "--all", "--check"])],
  ["lint of Rust", () => run("cargo", CLIPPY)],
];

const CLIPPY = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];

async function checkGenerated() {
  const stale = staleBinding();
  if (stale !== null) throw new ScriptError(stale);
}

/** Runs all checks, also after one failed; throws if any did. */
export async function verify() {
  /** @type {string[]} */
  const failed = [];
  for (const [name, check] of CHECKS) {
    try {
      await step(name, check);
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      console.log(error.message);
      failed.push(name);
    }
  }
  if (failed.length > 0) throw new ScriptError(`verify failed: ${failed.join(", ")}`);
}

if (process.argv[1] === import.meta.filename) await script(verify);
