/** Metrics as Prometheus reads them: well formed, counted right, and without keys; probes. */
import { describe, expect, test } from "vitest";
import { CallMetrics } from "../../ts/metrics/call-metrics.ts";
import { Exposition } from "../../ts/metrics/exposition.ts";
import { Histogram } from "../../ts/metrics/histogram.ts";
import { expectCode } from "../node/support/errors.ts";
import { counterModule } from "../node/support/modules.ts";
import { newNode, openNode } from "../node/support/nodes.ts";
import { eventually } from "../node/support/waiting.ts";

const SAMPLE = /^(raftkv_[a-z0-9_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$/;

/** Reads the text as a scraper does: every line has to be one. */
function read(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.trimEnd().split("\n")) {
    const head = /^# (HELP|TYPE) (raftkv_[a-z0-9_]+) (.+)$/.exec(line);
    if (head !== null) {
      if (head[1] === "HELP") expect(types.has(head[2]!), `${line} comes twice`).toBe(false);
      else types.set(head[2]!, head[3]!);
      continue;
    }
    const sample = SAMPLE.exec(line);
    expect(sample, line).not.toBeNull();
    const [, name = "", labels = "", value] = sample!;
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, "");
    expect(types.has(family), `${name} has a type`).toBe(true);
    if (types.get(family) === "counter") expect(name).toMatch(/_total$/);
    const key = labels === "" ? name : `${name}{${labels}}`;
    expect(samples.has(key), `${key} comes twice`).toBe(false);
    samples.set(key, Number(value));
    expect(Number(value), line).not.toBeNaN();
  }
  return samples;
}

describe("the text format", () => {
  test("escapes what labels hold, and adds histograms up", () => {
    const out = new Exposition();
    out.gauge("odd", "A \\ and\na line.", [[{ name: 'a"b\\c\nd' }, 1]]);
    const durations = new Histogram([0.001, 0.01]);
    for (const milliseconds of [0.5, 1, 5, 50, 500]) durations.observe(milliseconds);
    out.histogram("time_seconds", "Time.", [[{ keyspace: "kv" }, durations]]);
    expect(out.text().split("\n")).toEqual([
      "# HELP raftkv_odd A \\\\ and\\na line.",
      "# TYPE raftkv_odd gauge",
      'raftkv_odd{name="a\\"b\\\\c\\nd"} 1',
      "# HELP raftkv_time_seconds Time.",
      "# TYPE raftkv_time_seconds histogram",
      'raftkv_time_seconds_bucket{keyspace="kv",le="0.001"} 2',
      'raftkv_time_seconds_bucket{keyspace="kv",le="0.01"} 3',
      'raftkv_time_seconds_bucket{keyspace="kv",le="+Inf"} 5',
      expect.stringMatching(/^raftkv_time_seconds_sum\{keyspace="kv"\} 0\.5565/),
      'raftkv_time_seconds_count{keyspace="kv"} 5',
      "",
    ]);
    read(out.text());
  });

  test("a command that is timed settles as it would, and counts by its outcome", async () => {
    const metrics = new CallMetrics();
    const settled: unknown[] = [];
    metrics.timed((value) => settled.push(value), 7)("ok");
    const failure = Promise.reject(new Error("no"));
    failure.catch(() => undefined);
    metrics.timed((value) => settled.push(value), 7)(failure);
    expect(settled).toEqual(["ok", failure]);
    expect(metrics.durations.get(7)).toMatchObject({ ok: { count: 1 }, error: { count: 1 } });
  });
});

describe("a node's metrics", () => {
  test("count what happened, name every keyspace, and no key", async () => {
    const node = await openNode();
    const { kv, fleet } = node;
    await kv.registerKeyspace("counts", counterModule, null, { maxShards: 4 });
    for (let at = 0; at < 30; at++) await kv.command("counts", `key-of-${at}`, "add");
    for (let at = 0; at < 128; at++) await kv.query("counts", `key-of-${at % 30}`, "get");
    const failing = { command: () => [], query: () => [] } as unknown as typeof counterModule;
    await kv.registerKeyspace("failing", failing, null, { maxShards: 1 });
    await expectCode(() => kv.command("failing", "k", "add"), "COMMAND_FAILED");
    await fleet.admin.split("counts_0");
    await eventually("statistics", async () => (await fleet.admin.status()).keys === 30);

    const text = await fleet.metrics();
    const samples = read(text);
    const value = (name: string) => samples.get(`raftkv_${name}`);
    expect(value('command_duration_seconds_count{keyspace="counts",outcome="ok"}')).toBe(30);
    expect(value('command_duration_seconds_count{keyspace="failing",outcome="error"}')).toBe(1);
    expect(value('command_failures_total{code="COMMAND_FAILED"}')).toBe(1);
    expect(value('queries_total{keyspace="counts"}')).toBe(128);
    expect(value('query_duration_seconds_count{keyspace="counts"}')).toBe(2);
    expect(value("commands_total")).toBeGreaterThan(31);
    expect(value("requests_in_flight")).toBe(0);
    expect(value('shards{keyspace="counts"}')).toBe(2);
    expect(value('keyspace_keys{keyspace="counts"}')).toBe(30);
    expect(value("splits_total")).toBe(1);
    expect(value('groups{role="leader"}')).toBe(5);
    expect(value("groups_without_leader")).toBe(0);
    expect(value("nodes")).toBe(1);
    expect(text).not.toContain("key-of-");
    expect(text).not.toContain("counts_0");

    const each = read(await node.metrics({ shards: true }));
    const keys = ["counts_0", "counts_67108864"].map((shard) => {
      return each.get(`raftkv_shard_keys{keyspace="counts",shard="${shard}"}`);
    });
    expect(keys[0]! + keys[1]!).toBe(30);
  });

  test("a removed keyspace is not counted any more", async () => {
    const { kv, fleet } = await openNode();
    await kv.registerKeyspace("gone", counterModule, null, { maxShards: 1 });
    await kv.command("gone", "k", "add");
    expect(await fleet.metrics()).toContain('keyspace="gone"');
    await kv.deregisterKeyspace("gone");
    await eventually("its end", async () => !(await fleet.metrics()).includes('keyspace="gone"'));
  });

  test("there are none without an active node", async () => {
    const node = newNode();
    await expectCode(() => node.metrics(), "NOT_ACTIVE");
    expect(await node.fleet.readiness()).toMatchObject({ ready: false });
  });
});

describe("probes", () => {
  test("tell a node that serves from one that waits for others", async () => {
    const node = newNode({ admin: { port: 0, token: "a-token-that-is-long-enough" } });
    await node.fleet.activate("zone");
    const address = `http://${node.fleet.adminAddress}`;
    const live = await fetch(`${address}/livez`);
    expect([live.status, await live.json()]).toEqual([200, { live: true }]);
    const ready = await fetch(`${address}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [] }]);
    // Probes carry no token; metrics tell more, and need it.
    expect((await fetch(`${address}/metrics`)).status).toBe(401);
    const headers = { authorization: "Bearer a-token-that-is-long-enough" };
    const metrics = await fetch(`${address}/metrics?shards=1`, { headers });
    expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    read(await metrics.text());
  });

  test("a node that has not found its cluster is alive and not ready", async () => {
    const port = await freePort();
    const seeds = [`127.0.0.1:${await freePort()}`];
    const node = newNode({ listen: "127.0.0.1:0", seeds, admin: { port } });
    const activation = node.fleet.activate("zone");
    activation.catch(() => undefined);
    const probe = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
    await eventually("an answer", async () => (await probe("/livez"))?.status === 200);
    const ready = await probe("/readyz");
    expect(ready?.status).toBe(503);
    expect(await ready?.json()).toEqual({ ready: false, reasons: ["the node is activating"] });
    expect((await probe("/v1/status"))?.status).toBe(503);
    await node.close();
    expect(await probe("/livez")).toBeUndefined();
  });
});

async function freePort(): Promise<number> {
  const { freeAddresses } = await import("../node/support/cluster.ts");
  const [address] = await freeAddresses(1);
  return Number(address?.split(":")[1]);
}
