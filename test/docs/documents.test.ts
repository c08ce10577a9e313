/**
 * The programs in the documents, run and type-checked as they stand. The `ts` blocks of one page
 * are one program; what it logs is what stands in the comments behind its `console.log`s.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { expect, it } from "vitest";
import { attempt } from "../../scripts/steps.mjs";
import { readArguments } from "../../ts/cli/arguments.ts";
import type { Verb } from "../../ts/cli/verb.ts";
import { VERBS_BY_AREA } from "../../ts/cli/verbs.ts";
import { ERROR_CODES } from "../../ts/errors.ts";
import { scratchDirectory } from "../process/support/programs.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const pages = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));

function textOf(page: string): string {
  return readFileSync(join(ROOT, "docs", page), "utf8");
}

function programOf(page: string): string {
  return [...textOf(page).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block).join("\n");
}

const programs = pages.map((page) => [page, programOf(page)] as const).filter(([, text]) => text);

/** A directory in which programs find the package by its name. */
function project(): string {
  const directory = scratchDirectory();
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(ROOT, join(directory, "node_modules/raft-kv"));
  const telemetry = "node_modules/@opentelemetry";
  symlinkSync(join(ROOT, telemetry), join(directory, telemetry));
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  return directory;
}

for (const [page, program] of programs) {
  it(`${page}: its program logs what its comments say`, async () => {
    const promised = [...program.matchAll(/\bconsole\.log\(.*\);? \/\/ (.*)$/gm)].map(
      ([, at]) => at,
    );
    expect(promised.length).toBe(program.split("console.log(").length - 1);
    const directory = project();
    const { code } = transformSync(program, { loader: "ts", target: "node20" });
    writeFileSync(join(directory, "program.mjs"), code);
    const ended = await attempt(process.execPath, ["program.mjs"], { cwd: directory, quiet: true });
    expect(ended.errors).toBe("");
    expect(ended.output.trim().split("\n")).toEqual(promised);
    expect(ended.code).toBe(0);
  });
}

it("type-checks every program", async () => {
  const directory = project();
  for (const [page, program] of programs) writeFileSync(join(directory, `${page}.mts`), program);
  const compilerOptions = {
    ...{ target: "es2022", lib: ["es2023", "esnext.disposable"], module: "nodenext" },
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: ["node"] },
    typeRoots: [join(ROOT, "node_modules/@types")],
  };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  const { output, code } = await attempt(tsc, ["-p", directory], { quiet: true });
  expect(output).toBe("");
  expect(code).toBe(0);
});

it("names verbs and options that the command line has", () => {
  const verbs = new Map(
    Object.values(VERBS_BY_AREA)
      .flat()
      .map((verb) => [verb.name, verb]),
  );
  let checked = 0;
  for (const page of pages) {
    const blocks = [...textOf(page).matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
    for (const [, line = ""] of blocks.join("\n").matchAll(/\bnpx raft-kv ([^\n#|>;]+)/g)) {
      const [name = "", ...words] = line.trim().split(/\s+/);
      const verb = verbs.get(name);
      expect(verb, `${page}: ${line}`).toBeDefined();
      expect(() => readArguments(verb as Verb, words), `${page}: ${line}`).not.toThrow();
      checked++;
    }
  }
  expect(checked).toBeGreaterThan(15);
});

it("has links that lead somewhere", () => {
  const readme = textOf("README.md");
  for (const page of pages) {
    if (page !== "README.md") expect(readme).toContain(`](${page})`);
    for (const [, target] of textOf(page).matchAll(/\]\(([\w-]+\.md)[^)]*\)/g)) {
      expect(pages, page).toContain(target);
    }
  }
});

it("explains every error code", () => {
  const rows = [...textOf("errors.md").matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
  expect(rows).toEqual(ERROR_CODES);
});
