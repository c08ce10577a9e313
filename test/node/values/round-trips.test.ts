/** Whatever the structured clone algorithm takes comes back equal from commands and queries. */
import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { RaftKVNode } from "../../../ts/index.ts";
import { mapModule, registerModule } from "../support/modules.ts";
import { openNode, scratchDirectory } from "../support/nodes.ts";

const RUNS = 300;
const policy = { maxShards: 1 };

/** Values without references to each other. */
const tree: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(undefined, null, true, false, 0, -0, Number.NaN, Number.POSITIVE_INFINITY),
    fc.double(),
    fc.integer(),
    fc.bigInt(),
    fc.string({ unit: "binary" }),
    fc.string({ maxLength: 200 }),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.float64Array(),
    fc.int16Array(),
    fc.bigInt64Array(),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 5, noNullPrototype: true }),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((all) => new Map(all)),
    fc.array(tie("value"), { maxLength: 4 }).map((all) => new Set(all)),
  ),
})).value;

/** Arrays in which some parts appear several times, and which may contain themselves. */
const graph = fc
  .tuple(fc.array(tree, { minLength: 1, maxLength: 4 }), fc.array(fc.nat({ max: 9 })))
  .map(([parts, links]) => {
    const nodes: unknown[] = [...parts, [], {}];
    const root: unknown[] = [];
    for (const link of links) {
      const target = nodes[link % nodes.length];
      root.push(target);
      const own = nodes[nodes.length - 2] as unknown[];
      own.push(link % 2 === 0 ? root : target);
    }
    (nodes[nodes.length - 1] as { self: unknown }).self = nodes;
    root.push(nodes);
    return root;
  });

async function mapNode(): Promise<RaftKVNode> {
  const node = await openNode();
  await node.kv.registerKeyspace("k", mapModule, null, policy);
  await node.fleet.addConsensusGroup("register", 1, { module: registerModule });
  return node;
}

it("gives values of every shape back through keyspaces and groups", async () => {
  const { kv, fleet } = await mapNode();
  await fc.assert(
    fc.asyncProperty(fc.oneof(tree, graph), async (value) => {
      const expected = structuredClone(value);
      expect(await kv.command("k", "key", { set: value })).toBe("ok");
      if (value !== undefined) deepStrictEqual(await kv.query("k", "key", "get"), expected);
      await fleet.command("register", { write: value });
      deepStrictEqual(await fleet.query("register", "read"), expected);
      const returned = await fleet.command("register", { write: null });
      deepStrictEqual(returned, expected);
    }),
    { numRuns: RUNS },
  );
});

it("keeps values of every shape over a restart", async () => {
  const dataDir = scratchDirectory();
  const values = fc.sample(fc.oneof(tree, graph), { numRuns: 200, seed: 20 });
  const before = await openNode({ dataDir });
  const keyspace = await before.kv.openKeyspace("k", mapModule, null, policy);
  await Promise.all(values.map((value, at) => keyspace.command(at, { set: [value] })));
  await before.close();
  const after = await openNode({ dataDir });
  const reopened = await after.kv.openKeyspace("k", mapModule, null, policy);
  for (const [at, value] of values.entries()) {
    deepStrictEqual(await reopened.query(at, "get"), [structuredClone(value)]);
  }
});

it("keeps the kinds that JSON and plain encoders lose", async () => {
  const { kv } = await mapNode();
  const sparse = new Array<unknown>(3);
  sparse[1] = "between holes";
  const values: unknown[] = [
    /a+b/giu,
    new Date(Number.NaN),
    new Date(0),
    Object("boxed"),
    Object(7),
    Object(false),
    Object(9n),
    new ArrayBuffer(5),
    new DataView(new ArrayBuffer(8), 2, 4),
    new Uint8ClampedArray([300, -1]),
    new Float32Array([1.5, Number.NaN]),
    new BigUint64Array([2n ** 63n]),
    sparse,
    new Map([[{ key: 1 }, new Set([[1]])]]),
    -0,
    2n ** 200n,
    -(2n ** 64n),
    "\ud800 alone",
    "\0",
    "é".repeat(10_000),
    { __proto__: null, constructor: 1 },
    JSON.parse('{"__proto__": {"polluted": true}, "1": 2, "0": 1}'),
    JSON.parse('{"toString": 1, "then": 2, "length": 3}'),
    Array.from({ length: 20_000 }, (_, at) => at),
  ];
  for (const value of values) {
    await kv.command("k", "key", { set: [value] });
    const [got] = (await kv.query("k", "key", "get")) as [unknown];
    const [expected] = structuredClone([value]) as [unknown];
    if (value instanceof Date && Number.isNaN(value.getTime())) expect(got).toEqual(expected);
    else deepStrictEqual(got, expected);
  }
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

it("keeps errors as errors of their class, with message and cause", async () => {
  const { kv } = await mapNode();
  const error = new RangeError("out of range", { cause: new TypeError("inner") });
  await kv.command("k", "key", { set: { error } });
  const got = (await kv.query("k", "key", "get")) as { error: RangeError };
  expect(got.error).toBeInstanceOf(RangeError);
  expect(got.error.message).toBe("out of range");
  expect(got.error.cause).toBeInstanceOf(TypeError);
});

it("keeps shared references shared and cycles cyclic within one value", async () => {
  const { kv } = await mapNode();
  const shared = { n: 1 };
  const cyclic: Record<string, unknown> = { a: shared, b: [shared], set: new Set([shared]) };
  cyclic.self = cyclic;
  await kv.command("k", "key", { set: cyclic });
  const got = (await kv.query("k", "key", "get")) as typeof cyclic;
  expect(got.self).toBe(got);
  expect((got.b as unknown[])[0]).toBe(got.a);
  expect((got.set as Set<unknown>).has(got.a)).toBe(true);
});
