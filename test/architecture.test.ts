/**
 * The layers of ARCHITECTURE.md, checked against the sources: arrows point down only, in ts/ and
 * between the crates, and the house rules that a machine can check. Reads files, runs nothing.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { staleBinding } from "../scripts/sources.mjs";
import { VERSION } from "../ts/version.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FILE_LINES_MAX = 500;
const TEST_LINES_MAX = 600;

function filesUnder(folder: string, ending: RegExp): string[] {
  const path = join(ROOT, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes("node_modules"))
    .sort();
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** Relative modules that a file imports, re-exports or loads lazily, as paths from the root. */
function importsOf(file: string): string[] {
  const specifier = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["']([^"']+)["']/g;
  return [...read(file).matchAll(specifier)]
    .map(([, name]) => name!)
    .filter((name) => name.startsWith("."))
    .map((name) => relative(ROOT, resolve(ROOT, dirname(file), name)));
}

/** The folder or file of ts/ that a path belongs to, named as in ARCHITECTURE.md's table. */
function layerOf(file: string): string {
  const [, first, second] = file.split("/");
  return second === undefined ? first! : `${first}/`;
}

/** The table "Folders of ts/": each layer with the layers that it may use, directly or not. */
function allowedUses(): Map<string, Set<string>> {
  const section = read("ARCHITECTURE.md")
    .split("\n## ")
    .find((part) => part.startsWith("Folders"));
  const rows = [...section!.matchAll(/^\| (`.+?`) \| .+? \| (.+?) \|$/gm)].map(
    ([, names, uses]) => ({
      names: [...names!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
      uses: uses!,
    }),
  );
  const byWord = new Map<string, string[]>();
  for (const { names } of rows) {
    for (const name of names) byWord.set(name.replace(/\/$|\.ts$/, ""), [name]);
  }
  const allowed = new Map<string, Set<string>>();
  for (const { names, uses } of rows) {
    const reached = new Set<string>();
    const above = [...allowed.keys()];
    const direct =
      uses === "all"
        ? above
        : uses === "nothing"
          ? []
          : uses.split(/,\s*/).map((word) => {
              const layer = byWord.get(word.replaceAll("`", ""))?.[0];
              expect(layer, `ARCHITECTURE.md names an unknown layer: ${word}`).toBeDefined();
              return layer!;
            });
    for (const layer of direct) {
      reached.add(layer);
      expect(allowed.has(layer), `ARCHITECTURE.md: ${names} stands above ${layer}`).toBe(true);
      for (const deeper of allowed.get(layer) ?? []) reached.add(deeper);
    }
    for (const name of names) allowed.set(name, reached);
  }
  return allowed;
}

test("every folder of ts/ uses only what stands below it", () => {
  const allowed = allowedUses();
  const wrong: string[] = [];
  for (const file of filesUnder("ts", /\.ts$/)) {
    const from = layerOf(file);
    if (!allowed.has(from)) wrong.push(`${file}: ${from} is not in ARCHITECTURE.md's table`);
    for (const target of importsOf(file)) {
      if (!target.startsWith("ts/")) continue;
      const to = layerOf(target);
      if (to !== from && !allowed.get(from)?.has(to)) wrong.push(`${file} uses ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("only ts/native knows of the generated binding", () => {
  const files = [...filesUnder("ts", /\.ts$/), ...filesUnder("bench", /\.ts$/)];
  expect(files.length).toBeGreaterThan(0);
  const users = files.filter((file) => /native\/binding\.c?js|\.node["']/.test(read(file)));
  expect(users).toEqual(["ts/native/binding.ts"]);
});

test("the generated declarations belong to the sources", () => {
  expect(staleBinding()).toBeNull();
});

/** The crates of ARCHITECTURE.md's picture, from the top down. */
function cratesInOrder(): string[] {
  const picture = read("ARCHITECTURE.md").split("```")[1]!;
  return [...picture.matchAll(/^ crates\/(\w+)/gm)].map(([, name]) => name!);
}

test("every crate depends only on crates below it", () => {
  const order = cratesInOrder();
  const folders = readdirSync(join(ROOT, "crates"));
  expect([...order].sort()).toEqual(folders.sort());
  const wrong: string[] = [];
  for (const [position, crate] of order.entries()) {
    const manifest = read(`crates/${crate}/Cargo.toml`);
    for (const [, used] of manifest.matchAll(/^raft-kv-(\w+)\b/gm)) {
      if (order.indexOf(used!) <= position) wrong.push(`${crate} depends on ${used}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("only the addon knows of JavaScript, and only it may hold unsafe code", () => {
  for (const crate of cratesInOrder()) {
    const manifest = read(`crates/${crate}/Cargo.toml`);
    if (crate === "addon") continue;
    expect(manifest, crate).not.toMatch(/^napi/m);
    expect(manifest, crate).toMatch(/\[lints\]\nworkspace = true/);
  }
  expect(read("Cargo.toml")).toMatch(/^unsafe_code = "forbid"$/m);
});

const SOURCES = [
  ...filesUnder("ts", /\.ts$/),
  ...filesUnder("test", /\.(ts|[cm]js|[cm]ts)$/),
  ...filesUnder("bench", /\.ts$/),
  ...filesUnder("scripts", /\.mjs$/),
  ...filesUnder("crates", /\.rs$/).filter((file) => !file.includes("/target/")),
];

test(`no file has more than ${FILE_LINES_MAX} lines, and no test ${TEST_LINES_MAX}`, () => {
  const long = SOURCES.filter((file) => {
    const max = file.startsWith("test/") ? TEST_LINES_MAX : FILE_LINES_MAX;
    return read(file).split("\n").length > max + 1;
  });
  expect(long).toEqual([]);
});

test("every module says what it is", () => {
  const silent = [...filesUnder("ts", /\.ts$/), ...filesUnder("crates", /\.rs$/)].filter(
    (file) => !file.endsWith("_tests.rs") && !/^(#!.*\n)?(\/\*\*|\/\/!)/.test(read(file)),
  );
  expect(silent).toEqual([]);
});

test("nothing is left to be done later, and nothing is commented out", () => {
  // Spelled so that this file does not find itself.
  const marks = new RegExp(["TO", "FIX", "XX"].map((start) => `${start}(DO|ME|X)\\b`).join("|"));
  const code = /^\s*\/\/\s*(const|let|return|if \(|import|export|fn|pub|use) .*[;{]$/;
  const found = SOURCES.flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, at) => (marks.test(line) || code.test(line) ? [`${file}:${at + 1}`] : [])),
  );
  expect(found).toEqual([]);
});

test("TypeScript has no `any`, and no assertion that something is there", () => {
  const any = /[:<(,|&]\s*any\b(?!\s+\w)|\bas any\b|@ts-(ignore|nocheck|expect-error)/;
  const found = [...filesUnder("ts", /\.ts$/), ...filesUnder("bench", /\.ts$/)].flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, at) => {
        const code = line.replace(/^\s*(\/?\*|\/\/).*$/, "").replace(/\/\/.*$/, "");
        return any.test(code) ? [`${file}:${at + 1}`] : [];
      }),
  );
  expect(found).toEqual([]);
});

test("the version in the sources is the package's", () => {
  expect(VERSION).toBe(JSON.parse(read("package.json")).version);
});

test("the package lock names no registry", () => {
  expect(read("package-lock.json")).not.toContain('"resolved": "http');
});
