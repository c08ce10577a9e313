/**
 * Packs, installs the tarballs into an empty project where no Rust is to be found, and runs small
 * programs there: what a user of the published package has.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pack } from "./pack.mjs";
import { attempt, ROOT, run, script } from "./steps.mjs";

const PROGRAMS = join(ROOT, "test/package");

/**
 * Runs every check and counts.
 * @returns {Promise<{ passed: number, failed: number }>}
 */
export async function testPackage() {
  const project = mkdtempSync(join(tmpdir(), "raft-kv-package-"));
  const env = { ...process.env, PATH: pathWithoutRust() };
  const bin = (/** @type {string} */ name) => join(ROOT, "node_modules/.bin", name);
  const count = { passed: 0, failed: 0 };
  /** @param {string} name @param {string} command @param {readonly string[]} args */
  const check = async (name, command, args) => {
    const options = { cwd: project, env, quiet: true };
    const { output, errors, code } = await attempt(command, args, options);
    console.log(`${code === 0 ? "ok    " : "FAILED"} ${name}`);
    if (code !== 0) console.log(output + errors);
    count[code === 0 ? "passed" : "failed"] += 1;
  };
  try {
    const tarballs = await pack(join(project, "tarballs"));
    const manifest = { name: "a-user-of-raft-kv", private: true, version: "1.0.0" };
    writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
    cpSync(PROGRAMS, project, { recursive: true });
    const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs];
    await run("npm", install, { cwd: project, env, quiet: true });
    for (const node of [process.execPath, ...furtherNodes()]) {
      const version = await run(node, ["--version"], { quiet: true });
      for (const program of readdirSync(PROGRAMS).filter((name) => /\.[cm]js$/.test(name))) {
        await check(`${program} runs on Node.js ${version.trim()}`, node, [program]);
      }
    }
    const typeRoots = ["--typeRoots", join(ROOT, "node_modules/@types")];
    await check("programs type-check", bin("tsc"), ["-p", ".", ...typeRoots]);
    const [facade] = tarballs;
    await check("publint", bin("publint"), ["run", "--strict", String(facade)]);
    await check("are the types wrong", bin("attw"), [String(facade)]);
    return count;
  } finally {
    rmSync(project, { recursive: true });
  }
}

/** Other versions of Node.js to try: `RAFT_KV_TEST_NODES` lists their binaries as PATH does. */
function furtherNodes() {
  return (process.env.RAFT_KV_TEST_NODES ?? "").split(delimiter).filter((path) => path !== "");
}

function pathWithoutRust() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.filter((folder) => !existsSync(join(folder, "cargo"))).join(delimiter);
}

if (process.argv[1] === import.meta.filename) {
  await script(async () => {
    const { passed, failed } = await testPackage();
    console.log(`${passed} passed, ${failed} failed`);
    if (failed > 0) process.exitCode = 1;
  });
}
