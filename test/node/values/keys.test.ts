/** Two keys are equal when they are equal in type and value, and only then. */
import { deepStrictEqual } from "node:assert";
import { expect, it } from "vitest";
import type { Key } from "../../../ts/index.ts";
import { expectCode } from "../support/errors.ts";
import { mapModule } from "../support/modules.ts";
import { openNode, QUICK, scratchDirectory } from "../support/nodes.ts";
import { collect, shardsServing } from "../support/waiting.ts";

const bytes = (...all: number[]) => new Uint8Array(all);

/** Keys of which no two are equal. */
const distinct: readonly Key[] = [
  ...[1, "1", 1n, true, "true", false, 0, 0n, "0", "", "false"],
  ...[1.5, "1.5", -1, -1n, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "Infinity"],
  ...[2 ** 53, 2n ** 53n, 2 ** 53 + 2, 2n ** 53n + 1n, 1e300, 5e-324, 2n ** 100n, -(2n ** 100n)],
  ...["a", "A", "\0", "\0\0", "\0a", "é", "e\u0301", "\ud83d\ude00", "\ud83d", "\ufffd"],
  ...["x".repeat(63), "x".repeat(64), "x".repeat(65), "x".repeat(20_000)],
  ...["null", "undefined", "__proto__", "constructor"],
  ...[bytes(), bytes(0), bytes(1), bytes(1, 0), bytes(49)],
  ...[[], [[]], [1], ["1"], [1n], [true], [[1]], [1, 2], [[1], 2], [1, [2]], [bytes(1)]],
  ...[["a", "b"], ["ab"], ["a,b"], ["", "ab"], [[[[[1]]]]]],
];

it("keeps every key apart from all others, also over splits and a restart", async () => {
  const dataDir = scratchDirectory();
  const before = await openNode({ ...QUICK, dataDir });
  const policy = { maxShards: 4, minShards: 4, maxKeysPerShard: 5 };
  const keyspace = await before.kv.openKeyspace("k", mapModule, null, policy);
  await Promise.all(distinct.map((key, at) => keyspace.command(key, { set: at })));
  await shardsServing(before, "k", 4);
  for (const [at, key] of distinct.entries()) expect(await keyspace.query(key, "get")).toBe(at);
  await before.close();

  const after = await openNode({ ...QUICK, dataDir });
  const reopened = await after.kv.openKeyspace("k", mapModule, null, policy);
  for (const [at, key] of distinct.entries()) expect(await reopened.query(key, "get")).toBe(at);
  const walked = await collect(reopened.keys());
  expect(walked.length).toBe(distinct.length);
  for (const key of walked) {
    deepStrictEqual(key, distinct[(await reopened.query(key, "get")) as number]);
  }
});

it("finds a key again by any equal one", async () => {
  const { kv } = await openNode();
  await kv.registerKeyspace("k", mapModule, null, { maxShards: 1 });
  const equal: readonly (readonly [Key, Key])[] = [
    [0, -0],
    [bytes(1, 2), Buffer.from([1, 2])],
    [bytes(1, 2), new Uint8Array([0, 1, 2, 3]).subarray(1, 3)],
    [
      [0, ["x"]],
      [-0, ["x"]],
    ],
    ["text", ["te", "xt"].join("")],
    [10n ** 30n, BigInt(`1${"0".repeat(30)}`)],
  ];
  for (const [at, [stored, asked]] of equal.entries()) {
    await kv.command("k", stored, { set: at });
    expect(await kv.query("k", asked, "get")).toBe(at);
    await kv.command("k", asked, "unset");
    expect(await kv.query("k", stored, "get")).toBeUndefined();
  }
  expect(await kv.listKeysInShard("k_0")).toEqual([]);
});

it("refuses what is no key, also within arrays", async () => {
  const { kv } = await openNode();
  await kv.registerKeyspace("k", mapModule, null, { maxShards: 1 });
  const none: unknown[] = [
    ...[undefined, null, Number.NaN, Symbol("s"), () => 1, {}, new Date(), new Map(), new Set()],
    ...[new Int8Array(1), new Uint16Array(1), new ArrayBuffer(1), new DataView(new ArrayBuffer(1))],
    ...[Object("boxed"), Object(1), Promise.resolve(1), /a/],
  ];
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  for (const key of [...none, ...none.map((part) => ["fine", [part]]), cyclic]) {
    await expectCode(() => kv.command("k", key as Key, { set: 1 }), "INVALID_KEY");
    await expectCode(() => kv.query("k", key as Key, "get"), "INVALID_KEY");
  }
  expect(await kv.listKeysInShard("k_0")).toEqual([]);
});
