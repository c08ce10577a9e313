/** What the dashboard's page works out for itself, without a browser. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { carried, cellsOf, keysOf, mostOf } from "../../ts/dashboard/page/cells.ts";
import { duration, of, per, percent, share, short } from "../../ts/dashboard/page/format.ts";
import { healthOf, problemsOf } from "../../ts/dashboard/page/health.ts";
import { Messages } from "../../ts/dashboard/page/messages.ts";
import { Model } from "../../ts/dashboard/page/model.ts";
import { piecesOf } from "../../ts/dashboard/page/pieces.ts";
import { slicesOf } from "../../ts/dashboard/page/slices.ts";
import { spanOf } from "../../ts/dashboard/page/span.ts";
import { RecentRates } from "../../ts/dashboard/rates.ts";
import { HASHES, type Sample, type View } from "../../ts/dashboard/types.ts";

const rates = new RecentRates().get();

function sample(at: number, ...numbers: (number | null)[]): Sample {
  return { at, rates, cells: { kv: numbers } };
}

function viewAt(at: number): View {
  return {
    ...{ at, node: "node-a", cluster: "c", version: "0", ready: true, reasons: [] },
    ...{
      nodes: [],
      groupCount: 0,
      groups: [],
      keyspaceCount: 0,
      keyspaces: [],
      loadInterval: 1000,
    },
    ...{ sample: sample(at, 0, 1, 1), marks: [], happenings: [] },
  };
}

property.prop([fc.array(fc.nat({ max: 60 }))])("messages are whole in whatever pieces", (cuts) => {
  const text = 'event: past\ndata: {"a":1}\n\nevent: view\ndata: [1,2]\n\nevent: view\ndata: nul';
  const edges = [0, ...cuts, text.length].sort((a, b) => a - b);
  const messages = new Messages();
  const found = edges.slice(1).flatMap((end, at) => messages.add(text.slice(edges[at], end)));
  expect(found).toEqual([
    { event: "past", data: '{"a":1}' },
    { event: "view", data: "[1,2]" },
  ]);
});

test("numbers are short, and keep their meaning", () => {
  expect([0, 0.25, 9.96, 12, 999, 1234, 9999, 12_345, 1_234_567, 5e9].map(short)).toEqual([
    ...["0", "0.3", "10", "12", "999", "1,234", "9,999", "12.3k", "1.2M", "5.0G"],
  ]);
  expect([1e-6, 0.00025, 0.0005, 0.0025, 0.05, 2.5].map(duration)).toEqual([
    ...["1 µs", "250 µs", "500 µs", "2.5 ms", "50 ms", "2.5 s"],
  ]);
  expect([share(0, HASHES), share(0, HASHES / 4), percent(0), percent(1 / 300)]).toEqual([
    ...["100 %", "25 %", "0 %", "0.33 %"],
  ]);
  expect([of(1, "shard"), of(2, "shard"), per(1000), per(250)]).toEqual([
    ...["1 shard", "2 shards", "per second", "per 250 ms"],
  ]);
});

test("cells tile the hash range", () => {
  const cells = cellsOf(sample(1, 0, 5, 2, HASHES / 2, 7, 3), "kv");
  expect(cells).toEqual([
    { start: 0, end: HASHES / 2, load: 5, keys: 2 },
    { start: HASHES / 2, end: HASHES, load: 7, keys: 3 },
  ]);
  expect(cellsOf(sample(1), "none")).toEqual([]);
  expect(mostOf([sample(1, 0, 5, 2), sample(2, 0, 3, 9)], "kv", "load")).toBe(5);
  expect(mostOf([sample(1, 0, 5, 2), sample(2, 0, 3, 9)], "kv", "keys")).toBe(9);
  expect(mostOf([sample(1, 0, 0, 0)], "kv", "load")).toBe(1);
  expect(mostOf([sample(1, 0, null, 5)], "kv", "load")).toBe(1);
});

test("the band is the whole hash range, shard by shard or with neighbours together", () => {
  const shard = { keys: 4, size: 1, load: 2, filled: 0, leader: null };
  const [low, high] = [
    { ...shard, name: "kv_0", start: 0, end: HASHES / 2, doing: null },
    { ...shard, name: "kv_64", start: HASHES / 2, end: HASHES, keys: null, doing: "split: fill" },
  ];
  const keyspace = { name: "kv", count: 2, keys: null, shards: [low, high] };
  const one = piecesOf(keyspace, sample(1, 0, 2, 4, HASHES / 2, 2, null), "keys");
  expect(one).toMatchObject([
    { key: "kv_0", value: 4, moves: false, title: "kv_0: 50 % of the hash range, 4 keys, load 2" },
    { key: "kv_64", start: HASHES / 2, end: HASHES, value: null, moves: true },
  ]);
  expect(one[1]?.title).toBe("kv_64: 50 % of the hash range, not counted yet, split: fill");
  const many = { ...keyspace, count: 1000 };
  expect(piecesOf(many, sample(1, 0, 9, 4, HASHES / 4, 7, 3), "load")).toMatchObject([
    { key: "0", start: 0, end: HASHES / 4, name: "", value: 9 },
    { key: `${HASHES / 4}`, start: HASHES / 4, end: HASHES, name: "", value: 7 },
  ]);
});

test("keys that are not counted yet are those of before", () => {
  const samples = [sample(1, 0, 1, 4), sample(2, 0, 1, 2, 64, 1, null), sample(3, 0, 1, 9)];
  expect(samples.map(keysOf)).toEqual([4, null, 9]);
  expect(carried([null, ...samples.map(keysOf)])).toEqual([null, 4, 4, 9]);
});

test("a picture shows little of the past at first, and never more than is kept", () => {
  expect([0, 59, 61, 200, 300, 9999].map((seconds) => spanOf(seconds).seconds)).toEqual([
    ...[60, 60, 120, 300, 300, 300],
  ]);
});

describe("the model", () => {
  test("keeps five minutes, takes no sample twice, and begins anew with another past", () => {
    const model = new Model();
    model.takePast({ samples: [sample(1_000, 0, 1, 1)] });
    model.takeView(viewAt(1_000));
    model.takeView(viewAt(2_000));
    expect(model.samples.map(({ at }) => at)).toEqual([1_000, 2_000]);
    model.takeView(viewAt(301_500));
    expect(model.samples.map(({ at }) => at)).toEqual([2_000, 301_500]);
    model.takePast({ samples: [] });
    expect(model.samples).toEqual([]);
  });
});

test("slices say in rows what the heat map shows", () => {
  const samples = [
    sample(29_000, 0, 10, 4),
    sample(31_000, 0, 20, 4, HASHES / 2, 40, 6),
    sample(32_000, 0, 0, 4, HASHES / 2, 0, 6),
  ];
  const mark = { at: 31_000, kind: "split", keyspace: "kv", hash: HASHES / 2 } as const;
  const slices = slicesOf(samples, [mark, { ...mark, keyspace: "other" }], "kv");
  expect(slices).toEqual([
    {
      ...{ from: 31_000, to: 32_000, shards: 2, keys: 10, load: 30, splits: 1, merges: 0 },
      hottest: `from ${HASHES / 2}, 50 %`,
    },
    {
      ...{ from: 29_000, to: 29_000, shards: 1, keys: 4, load: 10, splits: 0, merges: 0 },
      hottest: "from 0, 100 %",
    },
  ]);
});

test("what is wrong is said once, and moving groups are no problem", () => {
  const node = { name: "node-x", zone: "z", address: null, voters: 0, leads: 0 };
  const group = { name: "g", leader: null, members: [] };
  const moving: View = { ...viewAt(1), groups: [{ ...group, state: "moving" }] };
  expect(healthOf(moving)).toEqual({ text: "healthy, 1 group moving", level: "good" });
  const broken: View = {
    ...viewAt(1),
    reasons: ["1 groups of this node have no leader, such as g"],
    nodes: [{ ...node, health: "unreachable" }],
    groups: [{ ...group, state: "no leader" }],
  };
  expect(problemsOf(broken)).toEqual(["x is out of reach.", "g has no leader."]);
  expect(healthOf(broken)).toEqual({ text: "2 problems", level: "bad" });
});
