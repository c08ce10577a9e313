/**
 * Bundles ts/ into dist/: one CommonJS implementation, and for each entry of the package a CommonJS
 * and an ES module that re-export its names, so that a program which reaches raft-kv in several ways
 * has one default node, and one class of each name.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { build } from "esbuild";
import { ROOT, ScriptError, tool } from "./steps.mjs";

const DIST = join(ROOT, "dist");
const TYPES = join(DIST, "types");
/** The page for browsers: its sources, and where the server of the package finds it. */
const PAGE = join(ROOT, "ts/dashboard/page");
const PAGE_OUTPUT = join(DIST, "dashboard");
/** Programs, bundled as ES modules where their source exists. */
const PROGRAMS = { "dist/cli.mjs": "ts/cli/main.ts", "dist/demo.mjs": "ts/demo/main.ts" };
/** The package's entries: what they are called, and where their exports are listed. */
const ENTRIES = { index: "./index.ts", testing: "./testing/index.ts" };
/** `import.meta.url` does not exist in CommonJS. */
const MODULE_URL = 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;';
/** @type {import("esbuild").BuildOptions} */
const COMMON = {
  bundle: true,
  platform: "node",
  target: "node20",
  packages: "external",
  sourcemap: true,
  logLevel: "warning",
};

/** Writes dist/ anew. */
export async function bundle() {
  rmSync(DIST, { recursive: true, force: true });
  await build({
    ...COMMON,
    stdin: { contents: implementation(), resolveDir: join(ROOT, "ts"), loader: "ts" },
    outfile: join(DIST, "implementation.cjs"),
    format: "cjs",
    define: { "import.meta.url": "moduleUrl" },
    banner: { js: MODULE_URL },
  });
  writeReexports();
  for (const [output, source] of Object.entries(PROGRAMS)) {
    if (existsSync(join(ROOT, source))) await bundleProgram(source, output);
  }
  await bundlePage();
  await writeDeclarations();
}

/** Bundles the dashboard's page: one HTML file, one script and one style sheet. */
async function bundlePage() {
  await build({
    bundle: true,
    platform: "browser",
    target: "es2022",
    format: "iife",
    minify: true,
    logLevel: "warning",
    entryPoints: { app: join(PAGE, "main.ts"), style: join(PAGE, "style.css") },
    outdir: PAGE_OUTPUT,
  });
  copyFileSync(join(PAGE, "index.html"), join(PAGE_OUTPUT, "index.html"));
}

/**
 * Bundles one program as an ES module.
 * @param {string} source
 * @param {string} output
 */
export async function bundleProgram(source, output) {
  await build({
    ...COMMON,
    entryPoints: [join(ROOT, source)],
    outfile: join(ROOT, output),
    format: "esm",
    banner: { js: "#!/usr/bin/env node" },
  });
}

function implementation() {
  return Object.entries(ENTRIES)
    .map(([name, source]) => `export * as ${name} from "${source}";\n`)
    .join("");
}

function writeReexports() {
  const made = createRequire(import.meta.url)(join(DIST, "implementation.cjs"));
  for (const entry of Object.keys(ENTRIES)) {
    const names = Object.keys(made[entry]);
    const from = `require("./implementation.cjs").${entry}`;
    const lines = names.map((name) => `exports.${name} = entry.${name};\n`);
    const text = `"use strict";\nconst entry = ${from};\n\n${lines.join("")}`;
    writeFileSync(join(DIST, `${entry}.cjs`), text);
    const exported = names.map((name) => `export const ${name} = entry.${name};\n`);
    const reexports = `import entry from "./${entry}.cjs";\n\n${exported.join("")}`;
    writeFileSync(join(DIST, `${entry}.mjs`), reexports);
  }
}

/**
 * Emits declarations and writes those that entries reach twice: an ES module's and CommonJS's.
 */
async function writeDeclarations() {
  await tool("tsc", ["-p", "tsconfig.build.json"]);
  const roots = Object.values(ENTRIES).map((source) => source.replace(/\.ts$/, ".d.ts"));
  const reached = new Map(roots.map((root) => [join(TYPES, root), ""]));
  for (const path of reached.keys()) {
    const text = readFileSync(path, "utf8");
    reached.set(path, text);
    for (const [, specifier] of text.matchAll(/["'](\.\.?\/[^"']+)\.ts["']/g)) {
      const target = resolve(dirname(path), `${specifier}.d.ts`);
      if (!existsSync(target)) {
        throw new ScriptError(
          `${relative(ROOT, path)} refers to ${specifier}, without declarations`,
        );
      }
      if (!reached.has(target)) reached.set(target, "");
    }
  }
  rmSync(TYPES, { recursive: true });
  for (const [path, text] of reached) {
    mkdirSync(dirname(path), { recursive: true });
    for (const kind of ["m", "c"]) {
      const rewritten = text.replace(/(["']\.\.?\/[^"']+)\.ts(["'])/g, `$1.${kind}js$2`);
      writeFileSync(path.replace(/\.d\.ts$/, `.d.${kind}ts`), rewritten);
    }
  }
  console.log(`dist/: ${readdirSync(DIST).join(", ")}`);
}
