/**
 * `npm run build`: compiles the addon into native/ and bundles TypeScript into dist/. What is up to
 * date is left alone. `--native` compiles the addon only.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.mjs";
import { bindingHeader, engineFingerprint, filesUnder } from "./sources.mjs";
import { ROOT, script, step, tool } from "./steps.mjs";
import { requireRust } from "./toolchain.mjs";

const NATIVE = join(ROOT, "native");
const STAMP = join(NATIVE, "built.stamp");

/** Compiles the addon unless the one that is there was made from the same sources. */
export async function buildNative() {
  const stamp = engineFingerprint();
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
  await tool("napi", ["build", "--platform", "--release", ...places, ...names, ...header]);
  writeFileSync(STAMP, stamp);
}

/** Builds everything. */
export async function build() {
  await step("native engine", buildNative);
  if (process.argv.includes("--native")) return;
  await step("TypeScript", bundle);
}

if (process.argv[1] === import.meta.filename) await script(build);
