/**
 * `npm run pack:local -- DIR`: packs what would be published from this machine: the package, and
 * the package with this platform's binary. `--all` packs every platform that package.json names,
 * from the binaries in native/, and fails when one is missing: what a release does.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseTriple } from "@napi-rs/cli";
import { build } from "./build.mjs";
import { ROOT, run, ScriptError, script } from "./steps.mjs";

/** Fields of package.json that matter to users of the package. */
const PUBLIC_FIELDS = [
  ...["name", "version", "description", "license", "type", "engines", "bin"],
  ...["main", "module", "types", "exports", "typesVersions", "files", "dependencies"],
];
/** How npm calls a C library that Rust calls so. */
const LIBC = new Map([
  ["gnu", "glibc"],
  ["musl", "musl"],
]);

/** @typedef {ReturnType<typeof parseTriple>} Target */

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
/** @type {readonly Target[]} */
const TARGETS = manifest.napi.targets.map((/** @type {string} */ triple) => parseTriple(triple));

/** @param {Target} target */
function binaryOf({ platformArchABI }) {
  return `${manifest.napi.binaryName}.${platformArchABI}.node`;
}

/**
 * Packs into a folder and returns the paths of the tarballs, the package's own first.
 * @param {string} folder
 * @param {{ all?: boolean }} [options] `all`: every platform, and not those alone that are built
 * @returns {Promise<string[]>}
 */
export async function pack(folder, { all = false } = {}) {
  const built = TARGETS.filter((target) => existsSync(join(ROOT, "native", binaryOf(target))));
  const missing = TARGETS.filter((target) => !built.includes(target));
  if (built.length === 0 || (all && missing.length > 0)) {
    const names = missing.map(binaryOf).join(", ");
    throw new ScriptError(`native/ lacks ${names}: \`npm run build\` makes this platform's`);
  }
  const staging = mkdtempSync(join(tmpdir(), "raft-kv-pack-"));
  try {
    const sources = [stageFacade(staging, built), ...built.map((target) => stage(staging, target))];
    mkdirSync(folder, { recursive: true });
    const tarballs = [];
    for (const source of sources) {
      const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
      const [packed] = JSON.parse(await run("npm", args, { cwd: source, quiet: true }));
      tarballs.push(join(folder, packed.filename));
    }
    return tarballs;
  } finally {
    rmSync(staging, { recursive: true });
  }
}

/** @param {Target} target */
function packageOf({ platformArchABI }) {
  return `${manifest.name}-${platformArchABI}`;
}

/**
 * The package itself, which asks npm for the one binary that fits.
 * @param {string} staging
 * @param {readonly Target[]} targets
 */
function stageFacade(staging, targets) {
  const folder = join(staging, "facade");
  for (const path of ["dist", "native/binding.cjs", "README.md", "LICENSE"]) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true, errorOnExist: true });
  }
  const fields = PUBLIC_FIELDS.filter((name) => name in manifest);
  const facade = Object.fromEntries(fields.map((name) => [name, manifest[name]]));
  const binaries = targets.map((target) => [packageOf(target), manifest.version]);
  writeManifest(folder, { ...facade, optionalDependencies: Object.fromEntries(binaries) });
  return folder;
}

/**
 * A platform's package: its binary and nothing else.
 * @param {string} staging
 * @param {Target} target
 */
function stage(staging, target) {
  const { platformArchABI, platform, arch, abi } = target;
  const folder = join(staging, platformArchABI);
  const file = binaryOf(target);
  mkdirSync(folder);
  cpSync(join(ROOT, "native", file), join(folder, file));
  const { version, license, engines } = manifest;
  const description = `The native engine of ${manifest.name} for ${platformArchABI}`;
  const libc = LIBC.get(abi ?? "");
  writeManifest(folder, {
    ...{ name: packageOf(target), version, description, license, engines },
    ...{ os: [platform], cpu: [arch], ...(libc && { libc: [libc] }), main: file, files: [file] },
  });
  return folder;
}

/**
 * @param {string} folder
 * @param {object} fields
 */
function writeManifest(folder, fields) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(fields, null, 2)}\n`);
}

if (process.argv[1] === import.meta.filename) {
  await script(async () => {
    const words = process.argv.slice(2);
    const all = words.includes("--all");
    const [folder] = words.filter((word) => !word.startsWith("-"));
    if (folder === undefined) throw new ScriptError("usage: npm run pack:local -- DIR [--all]");
    if (!all) await build();
    for (const path of await pack(resolve(folder), { all })) console.log(path);
  });
}
