/**
 * `npm run fix`: formats everything, applies the linters' safe corrections, and generates anew what
 * is generated.
 */
import { buildNative } from "./build.mjs";
import { run, script, step, tool } from "./steps.mjs";

await script(async () => {
  await step("TypeScript", () => tool("biome", ["check", "--write", "."]));
  await step("Rust", () => run("cargo", ["fmt", "--all"]));
  await step("generated files", buildNative);
});
