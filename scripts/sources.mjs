/**
 * Fingerprints of sources, by which the build knows what is up to date and the check knows whether
 * generated files belong to the sources beside them.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { ROOT } from "./steps.mjs";

/** The generated declarations of the addon; committed, so that types check without a build. */
export const BINDING_TYPES = join(ROOT, "native/binding.d.cts");

/**
 * Every file under a folder, sorted, without build output.
 * @param {string} folder
 * @returns {string[]}
 */
export function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.split(sep).includes("target"))
    .sort();
}

/**
 * A hash over the names and contents of files.
 * @param {readonly string[]} files
 * @param {readonly string[]} [further] other things that the result depends on
 */
export function fingerprint(files, further = []) {
  const hash = createHash("sha256");
  for (const file of files) {
    hash
      .update(`${relative(ROOT, file)}\n`)
      .update(readFileSync(file))
      .update("\n");
  }
  for (const text of further) hash.update(`${text}\n`);
  return hash.digest("hex");
}

/** Sources of tests, which no addon is made from. */
const TESTS = /[\\/]tests[\\/]|_tests\.rs$/;

/** All that the compiled addon is made from, and what it is made for. */
export function engineFingerprint() {
  const cargo = ["Cargo.toml", "Cargo.lock"].map((name) => join(ROOT, name));
  const { name, version, napi } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const names = JSON.stringify([name, version, napi.binaryName, napi.packageName]);
  const crates = filesUnder(join(ROOT, "crates")).filter((path) => !TESTS.test(path));
  const sources = [...crates, ...cargo];
  return fingerprint(sources, [names, process.platform, process.arch]);
}

/** The sources that the addon's declarations are generated from, whatever their format. */
export function bindingFingerprint() {
  const texts = filesUnder(join(ROOT, "crates/addon/src")).map((file) =>
    readFileSync(file, "utf8").replace(/[\s,]+/g, ""),
  );
  return fingerprint([], texts).slice(0, 16);
}

/** The first line of the generated declarations. */
export function bindingHeader() {
  return `// Generated from crates/addon/src (${bindingFingerprint()}) by \`npm run build\`. Private.\n`;
}

/** Why the generated declarations do not belong to the sources, or null. */
export function staleBinding() {
  if (!existsSync(BINDING_TYPES)) return "native/binding.d.cts is missing: run `npm run build`";
  if (readFileSync(BINDING_TYPES, "utf8").startsWith(bindingHeader())) return null;
  return "native/binding.d.cts is older than crates/addon/src: run `npm run build` and commit it";
}
