/**
 * `npm run pack:local -- DIR`: packs what would be published from this machine: the package, and
 * the package with this platform's binary.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "./build.mjs";
import { filesUnder } from "./sources.mjs";
import { ROOT, run, ScriptError, script } from "./steps.mjs";

/** Fields of package.json that matter to users of the package. */
const PUBLIC_FIELDS = [
  ...["name", "version", "description", "license", "type", "engines", "bin"],
  ...["main", "module", "types", "exports", "files", "dependencies"],
];

/**
 * Packs both into a folder and returns the paths of the tarballs.
 * @param {string} folder
 * @returns {Promise<string[]>}
 */
export async function pack(folder) {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const binary = filesUnder(join(ROOT, "native")).find((path) => path.endsWith(".node"));
  if (binary === undefined) throw new ScriptError("native/ has no binary: run `npm run build`");
  // raft-kv.linux-x64-gnu.node, as the napi command names it.
  const [, platform] = /\.([^.]+)\.node$/.exec(binary) ?? [];
  const [os, cpu, libc] = (platform ?? "").split("-");
  const platformName = `${manifest.name}-${platform}`;
  const staging = mkdtempSync(join(tmpdir(), "raft-kv-pack-"));
  try {
    const platformFolder = join(staging, "platform");
    mkdirSync(platformFolder);
    const file = `${manifest.napi.binaryName}.${platform}.node`;
    cpSync(binary, join(platformFolder, file));
    const { version, license, engines } = manifest;
    const libcField = libc === "gnu" ? { libc: ["glibc"] } : libc ? { libc: [libc] } : {};
    const description = `The native engine of ${manifest.name} for ${platform}`;
    writeManifest(platformFolder, {
      ...{ name: platformName, version, description, license, engines },
      ...{ os: [os], cpu: [cpu], ...libcField, main: file, files: [file] },
    });

    const facadeFolder = join(staging, "facade");
    mkdirSync(facadeFolder);
    for (const path of ["dist", "native/binding.cjs", "README.md", "LICENSE"]) {
      cpSync(join(ROOT, path), join(facadeFolder, path), { recursive: true, errorOnExist: true });
    }
    const fields = PUBLIC_FIELDS.filter((name) => name in manifest);
    const facade = Object.fromEntries(fields.map((name) => [name, manifest[name]]));
    writeManifest(facadeFolder, { ...facade, optionalDependencies: { [platformName]: version } });

    mkdirSync(folder, { recursive: true });
    const tarballs = [];
    for (const source of [facadeFolder, platformFolder]) {
      const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
      const [packed] = JSON.parse(await run("npm", args, { cwd: source, quiet: true }));
      tarballs.push(join(folder, packed.filename));
    }
    return tarballs;
  } finally {
    rmSync(staging, { recursive: true });
  }
}

/**
 * @param {string} folder
 * @param {object} manifest
 */
function writeManifest(folder, manifest) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

if (process.argv[1] === import.meta.filename) {
  await script(async () => {
    const folder = process.argv[2];
    if (folder === undefined) throw new ScriptError("usage: npm run pack:local -- DIR");
    await build();
    for (const path of await pack(resolve(folder))) console.log(path);
  });
}
