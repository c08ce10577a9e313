/** What becomes of the files that clients write, and that a fault in them is found. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { judgeAll, readHistories } from "./histories.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "raft-kv-histories-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** What is wrong with these files, one for each node. */
function faults(...files: (readonly (readonly unknown[])[])[]): string[] {
  const paths = files.map((lines, node) => {
    const path = join(directory, `history-${node}.jsonl`);
    writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return path;
  });
  return judgeAll(readHistories(paths), directory, ["still"]);
}

const KEY = "still/counter-0";
const add = { name: "add" };
const get = { name: "get" };

it("finds nothing in a good history, with a process that was killed and came back", () => {
  const first = [
    ["call", 0, 10, KEY, add],
    ["call", 1, 11, KEY, add],
    ["ok", 0, 15, 1],
    // The second one was under way when the process was killed, and counted.
    ["call", 0, 30, KEY, get],
    ["ok", 0, 31, 2],
  ];
  const second = [
    ["call", 0, 20, KEY, add],
    ["failed", 0, 22, "NO_LEADER"],
    ["stale", 1, 23, KEY, get],
    ["ok", 1, 24, 1],
  ];
  expect(faults(first, second)).toEqual([]);
});

it("finds a command that is said not to be applied and was", () => {
  const lines = [
    ["call", 0, 10, KEY, add],
    ["failed", 0, 12, "NO_LEADER"],
    ["call", 1, 20, KEY, get],
    ["ok", 1, 21, 1],
  ];
  expect(faults(lines)[0]).toContain("is not linearizable");
});

it("finds an acknowledged write that the next life does not know", () => {
  const key = "moving/register-0";
  const lines = [
    ["call", 0, 10, key, { name: "set", value: "a" }],
    ["ok", 0, 12, "ok"],
    ["call", 0, 20, key, get],
    ["ok", 0, 21, null],
  ];
  expect(faults(lines)[0]).toContain("is not linearizable");
});

it("finds stale answers that go back in one process, but not over a restart", () => {
  const start = [
    ["call", 0, 10, KEY, add],
    ["ok", 0, 12, 1],
    ["stale", 1, 13, KEY, get],
    ["ok", 1, 14, 1],
  ];
  const again = (id: number) => [
    ["stale", id, 15, KEY, get],
    ["ok", id, 16, 0],
  ];
  expect(faults([...start, ...again(2)])).toEqual([expect.stringContaining("went back")]);
  expect(faults([...start, ...again(0)])).toEqual([]);
});

it("finds stale answers from the future", () => {
  const lines = [
    ["stale", 0, 1, KEY, get],
    ["ok", 0, 2, 1],
    ["call", 1, 3, KEY, add],
    ["ok", 1, 4, 1],
  ];
  expect(faults(lines)).toEqual([expect.stringContaining("0 additions were called before")]);
});
