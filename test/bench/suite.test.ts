/** The suite of `npm run bench`: its statistics, its registry, and a report of a tiny run. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KEYS, valuesOf } from "../../bench/contenders/contender.ts";
import { NO_PEERS } from "../../bench/contenders/peers.ts";
import { RATIO_GOALS, reached } from "../../bench/goals.ts";
import { escapeText } from "../../bench/output/plot.ts";
import { writeReport } from "../../bench/output/write.ts";
import { WORKLOADS, workloadsOf } from "../../bench/registry.ts";
import { figuresOf, quantile, ratioOf, summaryOf } from "../../bench/statistics.ts";
import { type Case, EXTENTS, runWorkload } from "../../bench/suite.ts";

test("quantiles are values of the sample, and an empty sample has none", () => {
  const sorted = Array.from({ length: 100 }, (_, at) => at + 1);
  expect([0, 0.5, 0.99, 1].map((share) => quantile(sorted, share))).toEqual([1, 50, 99, 100]);
  expect(quantile([], 0.5)).toBe(0);
});

test("figures come from latencies in any order, and divide CPU by operations", () => {
  const figures = figuresOf(Float64Array.of(3, 1, 2, 10), 2000, 8);
  expect(figures).toEqual({
    operations: 4,
    perSecond: 2,
    p50: 2,
    p99: 10,
    max: 10,
    cpuMicroseconds: 2,
  });
  expect(figuresOf(new Float64Array(), 0, 8)).toMatchObject({ operations: 0, perSecond: 0 });
});

test("the best round counts, the spread is that of all, ratios are of the best", () => {
  const round = (count: number) => figuresOf(new Float64Array(count).fill(1), 1000, 0);
  const own = summaryOf([round(4), round(8), round(6)]);
  expect(own).toMatchObject({ perSecond: 8, spread: [4, 8] });
  expect(ratioOf(own, summaryOf([round(2)]))).toBe(4);
  expect(ratioOf(own, summaryOf([round(0)]))).toBeNull();
  expect(() => summaryOf([])).toThrow("nothing was measured");
});

test("a key never gets the value that the pass before gave it", () => {
  const value = valuesOf(5);
  const pass = () => Array.from({ length: KEYS }, value);
  const [first, second] = [pass(), pass()];
  expect(first.filter((text, at) => text === second[at])).toEqual([]);
  expect(new Set(first.map((text) => text.length))).toEqual(new Set([5]));
});

test("workloads have names of their own, and are found by them", () => {
  expect(new Set(WORKLOADS.map(({ name }) => name)).size).toBe(WORKLOADS.length);
  expect(workloadsOf(["gets", "sets"]).map(({ name }) => name)).toEqual(["sets", "gets"]);
  expect(() => workloadsOf(["sets", "sest"])).toThrow("no such workload: sest");
});

test("a goal is judged by the ratio in its own case, and a time by its median", () => {
  const summary = (count: number) => summaryOf([figuresOf(new Float64Array(count), 1000, 0)]);
  const one = (clients: number, own: number): Case => {
    const others = [
      { name: "Map", role: "ceiling" as const, summary: summary(100) },
      { name: "lmdb", role: "peer" as const, summary: summary(20) },
    ];
    const entries = [
      { name: "raft-kv", role: "raft-kv" as const, summary: summary(own) },
      ...others,
    ];
    return { what: "get", clients, bytes: 5, entries };
  };
  const measures = [{ what: "a wait", unit: "ms", values: [30, 9, 8], goal: 10 }];
  const outcome = { cases: [one(64, 1), one(1024, 70)], measures };
  const judged = reached([{ workload: "gets", title: "", seconds: 1, outcome }]);
  expect(judged.map(({ what, value, isReached }) => [what, value, isReached])).toEqual([
    ["get, 1024 clients, to Map", 0.7, true],
    ["get, 1024 clients, to lmdb", 3.5, true],
    ["a wait", 9, true],
  ]);
  const slower = { cases: [one(1024, 69)], measures: [] };
  const [first] = reached([{ workload: "gets", title: "", seconds: 1, outcome: slower }]);
  expect(first?.isReached).toBe(false);
});

test("every goal is of a workload that is there", () => {
  const names = WORKLOADS.map(({ name }) => name);
  for (const { workload } of RATIO_GOALS) expect(names).toContain(workload);
});

/** Fails unless every element of the text is closed in order. */
function expectWellFormed(xml: string): void {
  const open: string[] = [];
  for (const [, close, name, empty] of xml.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (close === "/") expect(open.pop()).toBe(name);
    else if (empty !== "/") open.push(name!);
  }
  expect(open).toEqual([]);
  expect(xml.replace(/<\/?[a-z][^<>]*>/g, "")).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
}

test("a run of one workload writes a whole report, also when another fails", async () => {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-bench-"));
  try {
    const context = { extent: EXTENTS.tiny, directory, peers: NO_PEERS, say: () => {} };
    const broken = {
      name: "broken",
      title: "fails",
      run: () => Promise.reject(new Error("on <purpose>")),
    };
    const results = [];
    for (const workload of [broken, ...workloadsOf(["sets"])]) {
      results.push(await runWorkload(workload, context));
    }
    const folder = join(directory, "report");
    writeReport(folder, context, results);
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    const json = JSON.parse(read("report.json"));
    expect(json.results[0].failure).toContain("on <purpose>");
    const { cases } = json.results[1].outcome;
    expect(cases).toHaveLength(2);
    expect(cases[0].entries.map(({ name }: { name: string }) => name)).toEqual([
      "raft-kv",
      "Map",
      "write + fdatasync",
    ]);
    for (const { entries } of cases) {
      for (const { summary } of entries) {
        expect(summary.operations).toBeGreaterThan(0);
        expect(summary.p50).toBeLessThanOrEqual(summary.p99);
        expect(summary.p99).toBeLessThanOrEqual(summary.max);
        expect(summary.spread[1]).toBe(summary.perSecond);
      }
    }
    const rows = read("report.md")
      .split("\n")
      .filter((line) => line.startsWith("| set |"));
    expect(rows).toHaveLength(5);
    for (const row of rows) expect(row.split("|")).toHaveLength(13);
    expectWellFormed(read("sets.svg"));
    expect(escapeText("a < b & c")).toBe("a &lt; b &amp; c");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
