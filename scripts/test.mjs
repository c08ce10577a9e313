/**
 * `npm test`: verify, build, and every test. The last line is `N passed, N failed`, summed over
 * cargo, vitest and the test of the packed tarball; a step that cannot run counts as one failure.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { attempt, ROOT, ScriptError, step } from "./steps.mjs";
import { testPackage } from "./test-package.mjs";
import { verify } from "./verify.mjs";

/** @typedef {{ passed: number, failed: number }} Count */

/** @returns {Promise<Count>} */
async function nothingToCount() {
  return { passed: 0, failed: 0 };
}

/** @returns {Promise<Count>} */
async function cargoTests() {
  const args = ["test", "--workspace", "--locked", "--no-fail-fast"];
  const { output, code } = await attempt("cargo", args, { capture: true });
  const count = { passed: 0, failed: 0 };
  for (const [, passed, failed] of output.matchAll(
    /^test result: .*?(\d+) passed; (\d+) failed/gm,
  )) {
    count.passed += Number(passed);
    count.failed += Number(failed);
  }
  return honest(count, code, "cargo test");
}

/** @returns {Promise<Count>} */
async function vitestTests() {
  const folder = mkdtempSync(join(tmpdir(), "raft-kv-vitest-"));
  const report = join(folder, "report.json");
  try {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const vitest = join(ROOT, "node_modules/.bin/vitest");
    const { code } = await attempt(vitest, ["run", ...reporters]);
    const result = JSON.parse(readFileSync(report, "utf8"));
    const count = { passed: result.numPassedTests, failed: result.numFailedTests };
    return honest(count, code, "vitest");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * A run that failed counts at least one failure, also when it failed before it could count.
 * @param {Count} count
 * @param {number} code
 * @param {string} name
 * @returns {Count}
 */
function honest(count, code, name) {
  if (code !== 0 && count.failed === 0) {
    console.log(`${name} ended with code ${code}`);
    return { passed: count.passed, failed: 1 };
  }
  return count;
}

/** @type {readonly (readonly [string, () => Promise<Count>])[]} */
const STEPS = [
  ["verify", () => verify().then(nothingToCount)],
  ["build", () => build().then(nothingToCount)],
  ["cargo test", cargoTests],
  ["vitest", vitestTests],
  ["packed tarball", testPackage],
];

const total = { passed: 0, failed: 0 };
for (const [name, work] of STEPS) {
  try {
    const count = await step(name, work);
    total.passed += count.passed;
    total.failed += count.failed;
  } catch (error) {
    console.error(error instanceof ScriptError ? error.message : error);
    total.failed += 1;
  }
}
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
console.log(`\n${total.passed} passed, ${total.failed} failed`);
