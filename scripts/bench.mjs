/**
 * `npm run bench [-- --quick | --only NAMES | --list | ...]`: builds the engine and measures it; bench/ has
 * what and how.
 */
import { join } from "node:path";
import { buildNative } from "./build.mjs";
import { bundleProgram } from "./bundle.mjs";
import { ROOT, run, script, step } from "./steps.mjs";

const OUTPUT = "bench/dist/main.mjs";

await script(async () => {
  await step("native engine", () => buildNative());
  await bundleProgram("bench/main.ts", OUTPUT);
  await bundleProgram("bench/member.ts", "bench/dist/member.mjs");
  await bundleProgram("bench/guard.ts", "bench/dist/guard.mjs");
  await step("bench", () => run(process.execPath, [join(ROOT, OUTPUT), ...process.argv.slice(2)]));
});
