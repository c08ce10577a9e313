/**
 * `npm run build`: compiles the addon into native/ and bundles TypeScript into dist/. What is up to
 * date is left alone. `--typescript` bundles only, `--native` compiles only; what stands behind it
 * goes to the napi command, which compiles for other platforms: `--native --target TRIPLE`.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.mjs";
import { bindingHeader, engineFingerprint, filesUnder } from "./sources.mjs";
import { ROOT, ScriptError, script, step, tool } from "./steps.mjs";
import { requireRust } from "./toolchain.mjs";

const NATIVE = join(ROOT, "native");
const STAMP = join(NATIVE, "built.stamp");

/**
 * Compiles the addon unless the one that is there was made from the same sources.
 * @param {readonly string[]} [further] arguments of the napi command
 */
export async function buildNative(further = []) {
  const stamp = engineFingerprint() + further.join(" ");
  const built = ["binding.cjs", "binding.d.cts"].every((name) => existsSync(join(NATIVE, name)));
  const binary = existsSync(NATIVE) && filesUnder(NATIVE).some((name) => name.endsWith(".node"));
  if (built && binary && existsSync(STAMP) && readFileSync(STAMP, "utf8") === stamp) {
    console.log("native/ is up to date");
    return;
  }
  console.log(`compiling with ${await requireRust()}; the first time takes a few minutes`);
  const places = ["--manifest-path", "crates/addon/Cargo.toml", "--output-dir", "native"];
  const names = ["--js", "binding.cjs", "--dts", "binding.d.cts", "--no-const-enum"];
  const header = ["--dts-header", bindingHeader()];
  await tool("napi", [
    "build",
    "--platform",
    "--release",
    ...places,
    ...names,
    ...header,
    ...further,
  ]);
  writeFileSync(STAMP, stamp);
}

/** Builds everything. */
export async function build() {
  await step("native engine", () => buildNative());
  await step("TypeScript", bundle);
}

if (process.argv[1] === import.meta.filename) {
  await script(async () => {
    const [only, ...further] = process.argv.slice(2);
    if (only === undefined) await build();
    else if (only === "--typescript") await step("TypeScript", bundle);
    else if (only === "--native") await step("native engine", () => buildNative(further));
    else throw new ScriptError("usage: npm run build [-- --typescript | --native ARGUMENTS...]");
  });
}
