/** What a node keeps for its dashboard: samples, splits and merges, rates, what happened. */
import { describe, expect, test } from "vitest";
import { Happenings } from "../../ts/dashboard/happenings.ts";
import { History } from "../../ts/dashboard/history.ts";
import { type Counters, RecentRates } from "../../ts/dashboard/rates.ts";
import { CELL_NUMBERS } from "../../ts/dashboard/types.ts";
import {
  DASHBOARD_CELLS_MAX,
  DASHBOARD_HAPPENINGS_MAX,
  DASHBOARD_KEYSPACES_MAX,
  DASHBOARD_MARKS_MAX,
  DASHBOARD_RATE_SECONDS,
  DASHBOARD_REPEAT_MS,
  DASHBOARD_SAMPLES_MAX,
} from "../../ts/limits.ts";

const RATES = new RecentRates().get();

function shardsAt(...starts: number[]) {
  return [{ name: "kv", shards: starts.map((start) => ({ start, load: 1, keys: 2 })) }];
}

describe("history", () => {
  test("borders that come and go are splits and merges", () => {
    const history = new History();
    expect(history.add(1, RATES, shardsAt(0))).toEqual([]);
    history.add(2, RATES, shardsAt(0, 64));
    history.add(3, RATES, shardsAt(0, 64));
    history.add(4, RATES, shardsAt(0));
    expect(history.marks).toEqual([
      { at: 2, kind: "split", keyspace: "kv", hash: 64 },
      { at: 4, kind: "merge", keyspace: "kv", hash: 64 },
    ]);
  });

  test("a keyspace that is new and split already was split; of the first look nothing is known", () => {
    const fresh = new History();
    fresh.add(1, RATES, []);
    fresh.add(2, RATES, shardsAt(0, 64));
    expect(fresh.marks).toMatchObject([{ at: 2, kind: "split", hash: 64 }]);
    const late = new History();
    late.add(1, RATES, shardsAt(0, 64));
    expect(late.marks).toEqual([]);
  });

  test("a keyspace that is removed leaves no merges behind, one without shards yet no splits", () => {
    const history = new History();
    history.add(1, RATES, shardsAt(0, 64));
    history.add(2, RATES, []);
    history.add(3, RATES, shardsAt());
    history.add(4, RATES, shardsAt(0));
    expect(history.marks).toEqual([]);
  });

  test("many shards share cells, and nothing of them gets lost", () => {
    const history = new History();
    const starts = Array.from({ length: 1000 }, (_, at) => at);
    history.add(1, RATES, shardsAt(...starts));
    const cells = history.samples[0]?.cells.kv ?? [];
    expect(cells.length).toBeLessThanOrEqual(CELL_NUMBERS * DASHBOARD_CELLS_MAX);
    const sum = (offset: number) =>
      cells.reduce<number>((a, b, at) => (at % CELL_NUMBERS === offset ? a + (b ?? 0) : a), 0);
    expect([sum(1), sum(2)]).toEqual([1000, 2000]);
  });

  test("what is not counted yet is told so, and is not nothing", () => {
    const history = new History();
    const shards = [
      { start: 0, load: 1, keys: null },
      { start: 64, load: null, keys: 2 },
    ];
    history.add(1, RATES, [{ name: "kv", shards }]);
    expect(history.samples[0]?.cells.kv).toEqual([0, 1, null, 64, null, 2]);
    const many = Array.from({ length: 2 * DASHBOARD_CELLS_MAX }, (_, start) => ({
      start,
      load: 1,
      keys: 1,
    }));
    history.add(2, RATES, [
      { name: "kv", shards: [...many.slice(1), { start: 999, load: null, keys: 1 }] },
    ]);
    expect(history.samples[1]?.cells.kv?.slice(-CELL_NUMBERS)).toEqual([
      2 * DASHBOARD_CELLS_MAX - 1,
      null,
      2,
    ]);
  });

  test("samples, marks and keyspaces are bounded, and marks go with their samples", () => {
    const history = new History();
    const many = Array.from({ length: DASHBOARD_KEYSPACES_MAX + 3 }, (_, at) => ({
      ...{ name: `kv${at}`, shards: [] },
    }));
    history.add(0, RATES, many);
    expect(Object.keys(history.samples[0]?.cells ?? {})).toHaveLength(DASHBOARD_KEYSPACES_MAX);
    const busy = Array.from({ length: DASHBOARD_MARKS_MAX * 2 }, (_, at) => at);
    history.add(1, RATES, shardsAt(0));
    history.add(2, RATES, shardsAt(...busy));
    expect(history.marks).toHaveLength(DASHBOARD_MARKS_MAX);
    for (let at = 0; at < DASHBOARD_SAMPLES_MAX; at++)
      history.add(3 + at, RATES, shardsAt(...busy));
    expect([history.samples.length, history.marks.length]).toEqual([DASHBOARD_SAMPLES_MAX, 0]);
  });
});

describe("happenings", () => {
  const leader = (at: number, text: string) => ({ at, kind: "leaderChange", text, about: "g" });

  test("what is told twice happened once, and what happens again is told again", () => {
    const happenings = new Happenings();
    for (const [at, text] of [
      [1, "a"],
      [2, "a"],
      [3, "b"],
      [4, "a"],
      [5 + DASHBOARD_REPEAT_MS, "a"],
    ] as const) {
      happenings.add(leader(at, text));
    }
    expect(happenings.all.map(({ at }) => at)).toEqual([1, 3, 4, 5 + DASHBOARD_REPEAT_MS]);
  });

  test("what was concluded gives way to who did it, in whichever order they come", () => {
    const did = { at: 2, kind: "split", text: "kv_0 gave half to kv_64", about: "split kv_64" };
    const concluded = { ...did, at: 1, text: "kv_64 was split off", concluded: true };
    const first = new Happenings();
    first.add(concluded);
    first.add(did);
    expect(first.all).toEqual([{ number: 1, at: 1, kind: "split", text: did.text }]);
    const second = new Happenings();
    second.add(did);
    second.add({ ...concluded, at: 3 });
    expect(second.all).toEqual([{ number: 1, at: 2, kind: "split", text: did.text }]);
  });

  test("the last ones are kept", () => {
    const happenings = new Happenings();
    const count = DASHBOARD_HAPPENINGS_MAX + 5;
    for (let at = 1; at <= count; at++) happenings.add(leader(at, `${at}`));
    expect(happenings.all).toHaveLength(DASHBOARD_HAPPENINGS_MAX);
    expect(happenings.all.at(-1)?.number).toBe(count);
  });
});

describe("rates", () => {
  const counters = (at: number, commands: number, counts: number[]): Counters => ({
    ...{ at, commands, queries: commands * 2, inFlight: 3 },
    command: { buckets: [0.1, 1], counts },
    query: { buckets: [0.1, 1], counts: [0, 0, 0] },
  });

  test("count what happened within the last seconds alone", () => {
    const rates = new RecentRates();
    expect(rates.get()).toMatchObject({ commandsPerSecond: 0, command: { median: null } });
    rates.add(counters(0, 1000, [500, 0, 0]));
    expect(rates.get()).toMatchObject({ commandsPerSecond: 0, inFlight: 3 });
    rates.add(counters(2000, 1100, [500, 98, 2]));
    expect(rates.get()).toEqual({
      ...{ commandsPerSecond: 50, queriesPerSecond: 100, inFlight: 3 },
      command: { median: 1, p99: 1 },
      query: { median: null, p99: null },
    });
    for (let at = 1; at <= DASHBOARD_RATE_SECONDS; at++) {
      rates.add(counters(2000 + at * 1000, 1100, [500, 98, 2]));
    }
    expect(rates.get()).toMatchObject({ commandsPerSecond: 0, command: { p99: null } });
  });
});
