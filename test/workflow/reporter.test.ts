import { beforeEach, describe, expect, test } from "vitest";
import type { ReportedShard } from "../../ts/directory/commands.ts";
import { FULL_REPORT_INTERVALS, REPORT_PAUSE_MS, SHARDS_PER_REPORT } from "../../ts/limits.ts";
import { type ReporterPorts, StatisticsReporter } from "../../ts/workflow/reporter.ts";
import { POLICY } from "../directory/model.ts";

const INTERVAL = 1_000;

class Node implements ReporterPorts {
  time = 0;
  timers: { at: number; callback: () => void }[] = [];
  figures: ReportedShard[] = [];
  reports: { at: number; shards: readonly ReportedShard[] }[] = [];
  taken: (shard: ReportedShard) => boolean = () => true;
  available = true;
  readonly reporter = new StatisticsReporter(this, { statsCollectionInterval: INTERVAL });

  now = () => this.time;
  elapsed = () => this.time;

  schedule(delay: number, callback: () => void) {
    const timer = { at: this.time + delay, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((known) => known !== timer);
    };
  }

  policy() {
    return { ...POLICY, maxLoadPerShard: 50 };
  }

  takeFigures() {
    const taken = this.figures;
    this.figures = taken.map((shard) => ({ ...shard, load: 0 }));
    return taken;
  }

  async report(shards: readonly ReportedShard[]) {
    if (!this.available) throw new Error("no leader");
    this.reports.push({ at: this.time, shards });
    return shards.filter(this.taken).map((shard) => shard.name);
  }

  async pass(duration: number) {
    const end = this.time + duration;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = next.at;
      next.callback();
    }
    this.time = end;
  }

  add(name: string, counted: Partial<ReportedShard> = {}) {
    const shard = { keyspace: "kv", name, group: 2, start: 0, end: 8, keys: 1, size: 0, load: 0 };
    this.figures.push({ ...shard, ...counted });
  }

  change(name: string, change: (shard: ReportedShard) => Partial<ReportedShard>) {
    this.figures = this.figures.map((shard) =>
      shard.name === name ? { ...shard, ...change(shard) } : shard,
    );
  }

  names(from = 0) {
    return this.reports.slice(from).flatMap(({ shards }) => shards.map((shard) => shard.name));
  }

  last(name: string) {
    return this.reports.flatMap(({ shards }) => shards.filter((s) => s.name === name)).at(-1);
  }
}

let node: Node;
beforeEach(() => {
  node = new Node();
});

describe("the statistics reporter", () => {
  test("reports at once, then each interval what has changed", async () => {
    node.add("kv_0");
    node.add("kv_4");
    node.reporter.start();
    await node.pass(1);
    expect(node.names()).toEqual(["kv_0", "kv_4"]);
    await node.pass(INTERVAL);
    const before = node.reports.length;
    await node.pass(3 * INTERVAL);
    expect(node.names(before)).toEqual([]);
    node.change("kv_4", () => ({ keys: 2 }));
    await node.pass(INTERVAL);
    expect(node.names(before)).toEqual(["kv_4"]);
  });

  test("reports all now and then", async () => {
    node.add("kv_0");
    node.reporter.start();
    await node.pass(FULL_REPORT_INTERVALS * INTERVAL + INTERVAL / 2);
    const before = node.reports.length;
    await node.pass(FULL_REPORT_INTERVALS * INTERVAL);
    expect(node.names(before)).toEqual(["kv_0"]);
  });

  test("reports again what the directory did not take", async () => {
    node.add("kv_0");
    node.taken = () => false;
    node.reporter.start();
    await node.pass(2 * INTERVAL + 1);
    expect(node.names()).toEqual(["kv_0", "kv_0", "kv_0"]);
    node.available = false;
    await node.pass(INTERVAL);
    node.available = true;
    node.taken = () => true;
    await node.pass(2 * INTERVAL);
    expect(node.names().length).toBe(4);
  });

  test("reports at once that a threshold is crossed, but not without a pause", async () => {
    node.add("kv_0", { keys: 100 });
    node.reporter.start();
    await node.pass(REPORT_PAUSE_MS + 10);
    const before = node.reports.length;
    node.change("kv_0", () => ({ keys: 101 }));
    for (let at = 0; at < 10; at++) node.reporter.applied("kv", "kv_0", 101, 0, 0);
    await node.pass(1);
    expect(node.names(before)).toEqual(["kv_0"]);
    // It is above the threshold, which is known: no hurry.
    node.reporter.applied("kv", "kv_0", 102, 0, 0);
    await node.pass(REPORT_PAUSE_MS);
    expect(node.reports.length).toBe(before + 1);
    node.reporter.hurry();
    node.change("kv_0", () => ({ keys: 103 }));
    await node.pass(1);
    node.reporter.hurry();
    node.change("kv_0", () => ({ keys: 104 }));
    await node.pass(1);
    expect(node.last("kv_0")?.keys).toBe(103);
    await node.pass(REPORT_PAUSE_MS);
    expect(node.last("kv_0")?.keys).toBe(104);
  });

  test("loads are per interval, whenever a report is made", async () => {
    node.add("kv_0");
    node.reporter.start();
    const run = async (duration: number, perSecond: number) => {
      for (let at = 0; at < duration; at += 50) {
        node.change("kv_0", ({ load }) => ({ load: load + perSecond / 20 }));
        await node.pass(50);
      }
    };
    await run(2 * INTERVAL, 40);
    expect(node.last("kv_0")?.load).toBeCloseTo(40, 0);
    await run(INTERVAL / 2, 40);
    // Half an interval is no reason to believe that the load has halved.
    node.reporter.hurry();
    await run(INTERVAL / 10, 40);
    expect(node.last("kv_0")?.load).toBeGreaterThanOrEqual(39);
    await run((4 * INTERVAL) / 10, 40);
    expect(node.last("kv_0")?.load).toBeCloseTo(40, 0);
    await run(2 * INTERVAL, 0);
    expect(node.last("kv_0")?.load).toBe(0);
  });

  test("a load that crosses its threshold within an interval is reported at once", async () => {
    node.add("kv_0");
    node.reporter.start();
    await node.pass(INTERVAL + 300);
    const before = node.reports.length;
    node.change("kv_0", () => ({ load: 60 }));
    node.reporter.applied("kv", "kv_0", 1, 0, 60);
    await node.pass(1);
    expect(node.names(before)).toEqual(["kv_0"]);
    expect(node.last("kv_0")?.load).toBe(60);
  });

  test("sends many shards in bounded reports", async () => {
    for (let at = 0; at < 2 * SHARDS_PER_REPORT + 1; at++) node.add(`kv_${at}`);
    node.reporter.start();
    await node.pass(1);
    expect(node.reports.map(({ shards }) => shards.length)).toEqual([
      SHARDS_PER_REPORT,
      SHARDS_PER_REPORT,
      1,
    ]);
  });

  test("leaves no timer behind when it is stopped", async () => {
    node.add("kv_0");
    node.reporter.start();
    await node.pass(2 * INTERVAL);
    node.reporter.hurry();
    node.reporter.stop();
    expect(node.timers).toEqual([]);
    const before = node.reports.length;
    node.reporter.applied("kv", "kv_0", 500, 0, 0);
    node.reporter.hurry();
    await node.pass(5 * INTERVAL);
    expect(node.reports.length).toBe(before);
    expect(node.timers).toEqual([]);
  });
});
