/** Administration of a node by itself: splits and merges by hand, JSON in and out, wrong calls. */
import { describe, expect, test } from "vitest";
import type { Json } from "../../ts/index.ts";
import { expectCode } from "../node/support/errors.ts";
import { counterModule, mapModule } from "../node/support/modules.ts";
import { newNode, openNode } from "../node/support/nodes.ts";

describe("splits and merges by hand", () => {
  test("are carried out to their end, and keep every key", async () => {
    const { fleet, kv } = await openNode();
    await kv.registerKeyspace("kv", counterModule, null, { maxShards: 4 });
    for (let at = 0; at < 50; at++) await kv.command("kv", at, "add");
    expect(await fleet.admin.split("kv_0")).toEqual({ from: "kv_0", to: "kv_67108864" });
    expect(await fleet.admin.split("kv_0")).toEqual({ from: "kv_0", to: "kv_33554432" });
    const shards = await fleet.admin.shards("kv");
    expect(shards.map(({ name }) => name)).toEqual(["kv_0", "kv_33554432", "kv_67108864"]);
    expect(shards.reduce((sum, { keys }) => sum + keys, 0)).toBe(50);
    expect(await fleet.admin.merge("kv_67108864")).toEqual({
      from: "kv_67108864",
      to: "kv_33554432",
    });
    for (let at = 0; at < 50; at++) expect(await kv.query("kv", at, "get")).toBe(1);
  });

  test("are refused with a code that says why", async () => {
    const { fleet, kv } = await openNode();
    await kv.registerKeyspace("kv", counterModule, null, { maxShards: 2 });
    const { admin } = fleet;
    // An empty shard may be split in advance; a single key cannot be divided.
    await kv.command("kv", "only", "add");
    const one = await expectCode(() => admin.split("kv_0"), "SPLIT_IMPOSSIBLE");
    expect(one).toMatchObject({ shard: "kv_0", outcome: "not applied" });
    await kv.command("kv", "other", "add");
    const both = await Promise.allSettled([admin.split("kv_0"), admin.split("kv_0")]);
    expect(both.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(both.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { code: "SHARD_BUSY", action: "retry" },
    });
    await expectCode(() => admin.split("kv_67108864"), "SPLIT_IMPOSSIBLE");
    await expectCode(() => admin.merge("kv_0"), "MERGE_IMPOSSIBLE");
    const guess = await expectCode(() => admin.split("kv_1"), "NO_SUCH_SHARD");
    expect(guess.message).toContain("Is kv_0 meant?");
  });
});

describe("keys and values as JSON", () => {
  const values: readonly [Json, unknown][] = [
    [{ a: [1, "two", null, true] }, { a: [1, "two", null, true] }],
    [{ $bigint: "12345678901234567890" }, 12345678901234567890n],
    [{ $bytes: "AQID" }, new Uint8Array([1, 2, 3])],
    [{ $date: "2026-11-25T00:00:00.000Z" }, new Date("2026-11-25T00:00:00.000Z")],
    [{ $map: [["k", { $set: [1, 2] }]] }, new Map([["k", new Set([1, 2])]])],
    [{ $number: "NaN" }, Number.NaN],
    [{ $number: "-0" }, -0],
    [{ $object: [["$date", "no date"]] }, { $date: "no date" }],
    [{ both: { $undefined: true } }, { both: undefined }],
  ];

  test("every kind of value goes in and comes out as it was", async () => {
    const { fleet, kv } = await openNode();
    await kv.registerKeyspace("kv", mapModule, null, { maxShards: 1 });
    const { admin } = fleet;
    for (const [at, [json, value]] of values.entries()) {
      expect(await admin.command("kv", at, { set: json })).toBe("ok");
      expect(await kv.query("kv", at, "get")).toEqual(value);
      expect(await admin.query("kv", at, "get")).toEqual(json);
      expect(await admin.get("kv", at)).toEqual({
        ...{ found: true, value: json, size: 0, shard: "kv_0" },
      });
    }
    expect(await admin.get("kv", "no such key")).toMatchObject({ found: false, value: null });
  });

  test("keys of every kind come page by page, each once", async () => {
    const { fleet, kv } = await openNode();
    await kv.registerKeyspace("kv", mapModule, null, { maxShards: 2 });
    const keys: Json[] = ["text", 5, true, { $bigint: "7" }, { $bytes: "AA==" }, ["a", 1]];
    for (let at = 0; at < 30; at++) keys.push(`key-${at}`);
    for (const key of keys) await fleet.admin.command("kv", key, { set: 1 });
    const found: Json[] = [];
    for (let from: number | null = 0, pages = 0; from !== null; pages++) {
      expect(pages).toBeLessThanOrEqual(keys.length);
      const page: Awaited<ReturnType<typeof fleet.admin.keys>> = await fleet.admin.keys("kv", {
        from,
        limit: 7,
      });
      found.push(...page.keys);
      from = page.next;
    }
    const sorted = (all: readonly Json[]) => all.map((key) => JSON.stringify(key)).sort();
    expect(sorted(found)).toEqual(sorted(keys));
  });

  test("what cannot be read is refused before anything is sent", async () => {
    const { fleet, kv } = await openNode();
    await kv.registerKeyspace("kv", mapModule, null, { maxShards: 1 });
    const { admin } = fleet;
    await expectCode(() => admin.command("kv", "k", { $bigint: "12x" }), "INVALID_ARGUMENT");
    await expectCode(() => admin.command("kv", "k", { $nothing: 1 }), "INVALID_ARGUMENT");
    await expectCode(() => admin.get("kv", { $map: [] }), "INVALID_KEY");
    await expectCode(() => admin.get("kw", "k"), "NO_SUCH_KEYSPACE");
    expect(await admin.keys("kv")).toEqual({ keys: [], next: null });
  });
});

describe("wrong calls", () => {
  test("are refused by their code", async () => {
    const inactive = newNode();
    await expectCode(() => inactive.fleet.admin.status(), "NOT_ACTIVE");
    const { fleet } = await openNode();
    const { admin } = fleet;
    await expectCode(() => admin.top(0), "INVALID_ARGUMENT");
    await expectCode(() => admin.shards(""), "INVALID_ARGUMENT");
    await expectCode(() => admin.shards(7 as unknown as string), "INVALID_ARGUMENT");
    const name = await fleet.nodeName();
    // The last node has nobody to give its groups to, and every group dies with it.
    await expectCode(() => admin.drain(name), "INVALID_ARGUMENT");
    const { safe, reasons } = await admin.safeToStop(name);
    expect(safe).toBe(false);
    expect(reasons[0]?.reason).toContain("only replica");
  });

  test("before init, everything about nodes and groups works", async () => {
    const node = newNode();
    await node.fleet.activate("zone");
    expect(await node.fleet.admin.status()).toMatchObject({ healthy: true, keyspaces: 0 });
    expect(await node.fleet.admin.groups()).toMatchObject([{ name: "RaftFleet.Fleet" }]);
    await expectCode(() => node.fleet.admin.keyspaces(), "NOT_ACTIVE");
  });
});

test("a system dump holds states, settings and log lines, and no value or secret", async () => {
  const node = newNode({ admin: { port: 0, token: "a-secret-of-the-test" } });
  await node.fleet.activate("zone");
  await node.kv.init();
  await node.kv.registerKeyspace("kv", mapModule, null, { maxShards: 1 });
  await node.kv.command("kv", "a-key-of-the-test", { set: "a-value-of-the-test" });
  const dump = await node.fleet.admin.sysdump();
  const name = await node.fleet.nodeName();
  expect(dump).toMatchObject({
    status: { healthy: true },
    nodes: [{ name }],
    shards: [{ name: "kv_0", keyspace: "kv" }],
    details: { [name]: { settings: { dataDir: ":memory:", admin: { host: "127.0.0.1" } } } },
  });
  const text = JSON.stringify(dump);
  expect(text).not.toContain("of-the-test");
});
