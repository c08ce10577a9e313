/** The README's example, run as it stands, with what its comments promise and what its text says. */
import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";
import { expect, it } from "vitest";
import * as raftKV from "../../ts/index.ts";
import { eventually, shardNames } from "./support/waiting.ts";

const { RaftFleet, RaftKV } = raftKV;
const KEYS = 200;
const SPLIT_LIMIT_MS = 5_000;
const MERGE_LIMIT_MS = 10_000;

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";

type Check = (actual: unknown, expected: unknown) => void;
type Functions = {
  readonly get: (key: string) => Promise<unknown>;
  readonly set: (key: string, value: unknown) => Promise<unknown>;
};

/** The example as a function; a statement whose comment is a value is checked against it. */
function compile(): (module: typeof raftKV, check: Check) => Promise<Functions> {
  const checked = example.replace(
    /^(await .*);\s*\/\/ (undefined|"[^"]*"|\[.*\])$/gm,
    "check($1, $2);",
  );
  const { code } = transformSync(checked, { loader: "ts", target: "node20" });
  const body = code.replace(/^import (\{[^}]*\}) from "raft-kv";$/m, "const $1 = module;");
  expect(body).not.toMatch(/^import/m);
  const Async = Object.getPrototypeOf(async () => {}).constructor;
  return new Async("module", "check", `${body}\nreturn { get, set };`);
}

it("keeps what its comments promise, splits into three and merges into one, twice", async () => {
  const run = compile();
  for (let round = 0; round < 2; round++) {
    let checks = 0;
    const { get, set } = await run(raftKV, (actual, expected) => {
      expect(actual).toEqual(expected);
      checks++;
    });
    expect(checks, "values promised by comments").toBe(3);

    const keys = Array.from({ length: KEYS }, (_, at) => `key-${at}`);
    for (const key of keys) expect(await set(key, `${key}!`)).toBe("ok");
    const names = await eventually(
      "three shards",
      async () => {
        const found = await shardNames({ kv: RaftKV }, "kv");
        return found.length === 3 && found;
      },
      SPLIT_LIMIT_MS,
    );
    expect(names).toContain("kv_0");
    expect(names).toContain("kv_67108864");
    const quarter = names.find((name) => name !== "kv_0" && name !== "kv_67108864");
    expect(["kv_33554432", "kv_100663296"]).toContain(quarter);
    for (const key of keys) expect(await get(key)).toBe(`${key}!`);

    for (const key of [...keys, "foo"]) await RaftKV.command("kv", key, "unset");
    await eventually(
      "kv_0 alone",
      async () => (await shardNames({ kv: RaftKV }, "kv")).length === 1,
      MERGE_LIMIT_MS,
    );
    expect(await shardNames({ kv: RaftKV }, "kv")).toEqual(["kv_0"]);
    expect(await get("key-0")).toBeUndefined();
    await RaftFleet.deactivate();
  }
}, 60_000);
