/** The built package loads as an ES module and as CommonJS, and both share one default node. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { run, scratchDirectory } from "./support/programs.ts";

const NATIVE = fileURLToPath(new URL("../../native", import.meta.url));

it("shares one default node between the two ways to load it", async () => {
  expect(JSON.parse(await run("both-ways.mjs"))).toEqual({
    value: "value",
    names: ["k"],
    oneErrorClass: true,
    sameNames: true,
    defaultExport: false,
  });
});

it("serves a CommonJS program", async () => {
  expect(await run("required.cjs")).toBe("value\nNO_SUCH_KEYSPACE\n");
});

/** What the program says whose engine is the binary at this path. */
async function loadedFrom(path: string): Promise<Record<string, string>> {
  const output = await run("cannot-load.mjs", [], { NAPI_RS_NATIVE_LIBRARY_PATH: path });
  return JSON.parse(output) as Record<string, string>;
}

it("says platform and what to do where there is no binary", async () => {
  const error = await loadedFrom("/nowhere/raft-kv.node");
  expect(error).toMatchObject({ name: "RaftKVError", code: "INTERNAL", action: "fix" });
  expect(error.message).toContain(`${process.platform}-${process.arch}`);
  expect(error.message).toContain("NAPI_RS_NATIVE_LIBRARY_PATH is /nowhere/raft-kv.node");
});

it("refuses a binary of another version, and names both", async () => {
  const binary = readdirSync(NATIVE).find((name) => name.endsWith(".node"));
  const old = join(scratchDirectory(), "old.cjs");
  const real = JSON.stringify(join(NATIVE, String(binary)));
  writeFileSync(old, `module.exports = { ...require(${real}), version: () => "0.0.9" };`);
  const error = await loadedFrom(old);
  expect(error).toMatchObject({ code: "INTERNAL", action: "fix" });
  expect(error.message).toMatch(/engine is version 0\.0\.9, but raft-kv is version \d/);
});
