import assert from "node:assert/strict";
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import {
  checkStorable,
  copyValue,
  decodeValue,
  encodeValue,
  isPrimitive,
  Reader,
  readValue,
  Writer,
  writeValue,
  writeValueLenient,
} from "../../ts/codec/index.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { STORABLE_PARTS_CHECKED, VALUE_NESTING_MAX } from "../../ts/limits.ts";

function failure(run: () => unknown): RaftKVError {
  try {
    run();
  } catch (error) {
    if (error instanceof RaftKVError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function lenient(value: unknown): { value: unknown; dropped: [string, string][] } {
  const dropped: [string, string][] = [];
  const w = new Writer();
  writeValueLenient(w, value, (path, kind) => dropped.push([path, kind]));
  return { value: readValue(new Reader(w.copy())), dropped };
}

/** The items with a hole where `HOLE` stands. */
function holed(...items: unknown[]): unknown[] {
  const copy = [...items];
  items.forEach((item, i) => {
    if (item === HOLE) delete copy[i];
  });
  return copy;
}
const HOLE = Symbol("hole");

/** Any value, with references to objects that stand elsewhere in it: shared, and cyclic. */
const anyValue = fc
  .tuple(
    fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withBoxedValues: true,
      withUnicodeString: true,
      withNullPrototype: true,
      maxDepth: 4,
    }),
    fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 5 }),
  )
  .map(([value, links]) => withLinks(value, links))
  // Two dates that are no dates are never equal for the oracle's comparison.
  .filter((value) => !objectsOf(value).some((o) => o instanceof Date && Number.isNaN(+o)));

function objectsOf(value: unknown): object[] {
  const found = new Set<object>();
  const visit = (part: unknown) => {
    if (typeof part !== "object" || part === null || found.has(part)) return;
    found.add(part);
    if (part instanceof Map) for (const [k, v] of part) [k, v].forEach(visit);
    else if (part instanceof Set) part.forEach(visit);
    else if (!ArrayBuffer.isView(part)) Object.values(part).forEach(visit);
  };
  visit(value);
  return [...found];
}

function withLinks(value: unknown, links: [number, number][]): unknown {
  const objects = objectsOf(value);
  for (const [from, to] of links) {
    const holder = objects[from % objects.length];
    const target = objects[to % objects.length];
    if (holder instanceof Map) holder.set("link", target);
    else if (holder instanceof Set) holder.add(target);
    else if (Array.isArray(holder)) holder.push(target);
    else if (holder?.constructor === Object) Reflect.set(holder, "link", target);
  }
  return value;
}

/** Which objects are the same one, as numbers in the order of meeting. */
function shape(value: unknown): number[] {
  const numbers = new Map<unknown, number>();
  const order: number[] = [];
  const visit = (part: unknown) => {
    if (typeof part !== "object" || part === null) return;
    const known = numbers.get(part);
    order.push(known ?? -1);
    if (known !== undefined) return;
    numbers.set(part, numbers.size);
    if (part instanceof Map) for (const [k, v] of part) [k, v].forEach(visit);
    else if (part instanceof Set) part.forEach(visit);
    else if (!ArrayBuffer.isView(part)) Object.values(part).forEach(visit);
  };
  visit(value);
  return order;
}

describe("a value that was written and read", () => {
  property.prop([anyValue], { numRuns: 2_000 })("is what a structured clone is", (value) => {
    const expected = structuredClone(value);
    const bytes = encodeValue(value);
    const actual = decodeValue(bytes);
    assert.deepStrictEqual(actual, expected);
    expect(shape(actual)).toEqual(shape(expected));
    expect(encodeValue(actual)).toEqual(bytes);
  });

  const shared = { z: 1 };
  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["minus zero", -0],
    ["NaN", Number.NaN],
    ["integers of every length", [0, 63, 64, -1, 127, 128, -129, 32768, 2 ** 31 - 1, 2 ** 31]],
    ["bigints", [0n, -1n, 255n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 500n)]],
    [
      "texts",
      ["", "é", "日本", "\ud800x", "\0", "x".repeat(127), "x".repeat(5000), "日".repeat(60)],
    ],
    ["wide texts of any length", Array.from({ length: 140 }, (_, i) => `${"a".repeat(i)}€`)],
    ["texts of any length", Array.from({ length: 140 }, (_, i) => "é".repeat(i))],
    ["a hole", holed(1, HOLE, 3)],
    ["named properties of an array", Object.assign([1, 2], { a: 1 })],
    ["a hole and a named property", Object.assign(holed(1, HOLE, 3), { a: 1 })],
    ["a match", "abc".match(/b/)],
    ["only holes", new Array(5)],
    ["a very long array of holes", new Array(2 ** 32 - 1)],
    ["a far element", Object.assign([], { 4000000: "far" })],
    ["undefined elements", [undefined, undefined]],
    ["no prototype", Object.assign(Object.create(null), { a: 1 })],
    ["an own __proto__", JSON.parse('{"__proto__":{"x":1},"b":2}')],
    ["number-like and odd names", { 1: "a", "-1": "b", "": "c", 日: "d", ["x".repeat(99)]: "e" }],
    [
      "an instance",
      new (class Point {
        x = 1;
        y = { z: 2 };
      })(),
    ],
    [
      "a tagged instance",
      new (class A {
        x = 1;
        get [Symbol.toStringTag]() {
          return "A";
        }
      })(),
    ],
    ["errors", [new RangeError("r"), new TypeError("t"), new (class X extends Error {})("x")]],
    ["a renamed error", Object.assign(new Error("e"), { name: "SyntaxError" })],
    ["an aggregate", new AggregateError([1], "all")],
    ["a cause", new Error("e", { cause: { why: [1] } })],
    ["patterns", [/a\/b/giu, /(?:)/, /[日]/]],
    ["boxed primitives", [Object(1n), Object("s"), Object(-0), Object(false)]],
    ["views", [new Float64Array([1, -0]), new DataView(new ArrayBuffer(3)), new BigInt64Array(2)]],
    ["part of a buffer", new Uint16Array(new ArrayBuffer(8), 2, 2).fill(7)],
    ["an array buffer", new Uint8Array([1, 2]).buffer],
    [
      "collections",
      new Map<unknown, unknown>([
        [{ a: 1 }, new Set([1, {}])],
        [2, new Map()],
      ]),
    ],
    ["one object many times", Array(20).fill(shared)],
    ["more objects than are kept at hand", Array.from({ length: 100 }, (_, i) => ({ i, shared }))],
  ])("is the same: %s", (_, value) => {
    const actual = decodeValue(encodeValue(value));
    const expected = structuredClone(value);
    // The oracle's own copy of part of a buffer is the whole buffer; what is seen is the same.
    assert.deepStrictEqual(actual, expected);
    expect(shape(actual)).toEqual(shape(expected));
  });

  test("keeps a cycle through every kind of object", () => {
    const value: Record<string, unknown> = { list: [], map: new Map(), set: new Set() };
    value.self = value;
    (value.list as unknown[]).push(value);
    (value.map as Map<unknown, unknown>).set(value, value.map);
    (value.set as Set<unknown>).add(value);
    const error = new Error("e", { cause: value });
    value.error = error;
    const copy = copyValue(value);
    expect(copy).not.toBe(value);
    expect(copy.self).toBe(copy);
    expect((copy.list as unknown[])[0]).toBe(copy);
    expect((copy.map as Map<unknown, unknown>).get(copy)).toBe(copy.map);
    expect((copy.set as Set<unknown>).has(copy)).toBe(true);
    expect((copy.error as Error).cause).toBe(copy);
  });

  test("does not grow with the ways that lead to one object", () => {
    let value: unknown = "end";
    for (let i = 0; i < 200; i++) value = [value, value];
    expect(encodeValue(value).length).toBeLessThan(2_000);
  });

  test("of a Buffer takes the bytes alone, and shares none", () => {
    const buffer = Buffer.from("abc");
    const copy = copyValue<Uint8Array>(buffer);
    expect(encodeValue(buffer).length).toBe(5);
    buffer.fill(0);
    expect(Buffer.from(copy).toString()).toBe("abc");
    expect(Object.getPrototypeOf(copy)).toBe(Uint8Array.prototype);
  });

  test("of an invalid date is one", () => {
    expect(Number.isNaN((copyValue(new Date(Number.NaN)) as Date).getTime())).toBe(true);
  });

  test("has run each getter once", () => {
    let runs = 0;
    const value = {
      get a() {
        return ++runs;
      },
      b: [
        {
          get c() {
            return ++runs;
          },
        },
      ],
    };
    expect(decodeValue(encodeValue(value))).toEqual({ a: 1, b: [{ c: 2 }] });
    expect(runs).toBe(2);
  });

  test("is whole although a getter encodes another", () => {
    const inner = { x: [1] };
    const value = {
      a: inner,
      get b() {
        return decodeValue(encodeValue({ y: inner }));
      },
      c: inner,
    };
    const copy = decodeValue(encodeValue(value)) as Record<string, unknown>;
    expect(copy).toEqual({ a: inner, b: { y: inner }, c: inner });
    expect(copy.a).toBe(copy.c);
  });

  test("leaves the prototype of all objects alone", () => {
    const copy = decodeValue(encodeValue(JSON.parse('{"__proto__":{"polluted":1}}'))) as object;
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });

  test("ends where it ends, in the middle of other bytes", () => {
    const w = new Writer(64);
    const values = [{ a: [1] }, "x".repeat(1000), null, [{}, {}]];
    for (const value of values) writeValue(w, value);
    const r = new Reader(w.bytes);
    expect(values.map(() => readValue(r))).toEqual(values);
    expect(r.at).toBe(w.length);
  });
});

describe("the bytes of a value", () => {
  // They are in logs and snapshots: later versions have to read what this one wrote.
  const cyclic: Record<string, unknown> = {};
  cyclic.me = cyclic;
  test.each<[string, unknown, string]>([
    ["an object", { set: "1" }, "50837365748131" + "51"],
    ["undefined and null", [undefined, null], "4e024041"],
    ["minus zero", -0, "470000000000000080"],
    ["a date", new Date(1), "52000000000000f03f"],
    ["a map", new Map([[1, 2]]), "53010102"],
    ["a set", new Set(["a"]), "54018161"],
    ["bytes", new Uint8Array([5]), "4d0105"],
    ["an array buffer", new Uint8Array([5]).buffer, "550105"],
    ["a view", new Int16Array([-2]), "560302feff"],
    ["a pattern", /a/g, "5881618167"],
    ["a boxed number", Object(1), "5901"],
    ["a loose array", holed(HOLE, 1), "4f02813101" + "51"],
    ["a cycle", cyclic, "5b50826d655a0051"],
  ])("of %s are for good", (_, value, expected) => {
    expect(Buffer.from(encodeValue(value)).toString("hex")).toBe(expected);
    assert.deepStrictEqual(decodeValue(Buffer.from(expected, "hex")), structuredClone(value));
  });
});

const unclonable: [string, unknown, string, RegExp][] = [
  ["a function", () => 1, "the value", /function/],
  ["a named function", { f: function named() {} }, "the value.f", /function named/],
  ["a symbol", { a: [0, { b: Symbol("x") }] }, "the value.a[1].b", /symbol/],
  ["an odd name", { "a b": Symbol("x") }, 'the value["a b"]', /symbol/],
  ["a promise", [Promise.resolve()], "the value[0]", /Promise/],
  ["a WeakMap", { w: new WeakMap() }, "the value.w", /WeakMap/],
  ["a WeakRef", { w: new WeakRef({}) }, "the value.w", /WeakRef/],
  ["a generator", [(function* () {})()], "the value[0]", /Generator/],
  ["an iterator", [[][Symbol.iterator]()], "the value[0]", /Iterator/],
  ["a formatter", [new Intl.NumberFormat()], "the value[0]", /NumberFormat/],
  ["a Blob", [new Blob([])], "the value[0]", /Blob/],
  ["a URL", [new URL("http://a")], "the value[0]", /URL/],
  ["an AbortSignal", [new AbortController().signal], "the value[0]", /AbortSignal/],
  ["shared memory", [new SharedArrayBuffer(1)], "the value[0]", /SharedArrayBuffer/],
  ["a view of shared memory", [new Uint8Array(new SharedArrayBuffer(1))], "the value[0]", /Uint8/],
  ["a boxed symbol", [Object(Symbol("x"))], "the value[0]", /Symbol/],
  ["in a map", new Map([["k", () => 1]]), "the value<value 0>", /function/],
  ["as a key of a map", new Map([[() => 1, 1]]), "the value<key 0>", /function/],
  ["in a set", new Set([1, Symbol("x")]), "the value<member 1>", /symbol/],
  ["after a hole", holed(HOLE, { x: Symbol("x") }), "the value[", /symbol/],
];

describe("what cannot be cloned", () => {
  test.each(unclonable)("%s is named, and nothing is written", (_, value, path, kind) => {
    const w = new Writer();
    writeValue(w, "before");
    const { length } = w;
    const error = failure(() => writeValue(w, value));
    expect(error.code).toBe("DATA_CLONE");
    expect(error.message).toContain(path);
    expect(error.message).toMatch(kind);
    expect(w.length).toBe(length);
  });

  test("the next value is written as if nothing had happened", () => {
    const seen = { a: 1 };
    failure(() => encodeValue([seen, seen, () => 1]));
    expect(Buffer.from(encodeValue([seen])).toString("hex")).toBe("4e01508161" + "0151");
  });

  test("a getter that throws is the cause", () => {
    const cause = new Error("no");
    const error = failure(() =>
      encodeValue({
        a: {
          get b() {
            throw cause;
          },
        },
      }),
    );
    expect(error.code).toBe("DATA_CLONE");
    expect(error.message).toContain("the value.a.b");
    expect(error.cause).toBe(cause);
  });

  test("a value that is nested too deep", () => {
    let deep: unknown = 1;
    for (let i = 0; i < VALUE_NESTING_MAX; i++) deep = [deep];
    expect(decodeValue(encodeValue(deep))).toEqual(deep);
    expect(failure(() => encodeValue([deep])).message).toMatch(/nested/);
    const endless: Record<string, unknown> = {};
    let end = endless;
    for (let i = 0; i < 100_000; i++) {
      const next = {};
      end.next = next;
      end = next;
    }
    expect(failure(() => encodeValue(endless)).code).toBe("DATA_CLONE");
  });

  test("a Proxy that is revoked", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(failure(() => encodeValue({ proxy })).code).toBe("DATA_CLONE");
    expect(failure(() => encodeValue(proxy)).code).toBe("DATA_CLONE");
  });
});

describe("the lenient writer", () => {
  test("leaves parts out, tells of each, and keeps the rest", () => {
    const shared = { s: 1 };
    const value = {
      a: shared,
      f: () => 1,
      m: new Map<unknown, unknown>([["k", Symbol("x")]]),
      l: [1, new WeakMap(), shared],
      get g() {
        throw new Error("no");
      },
      e: new Error("e", { cause: () => 1 }),
      z: "last",
    };
    const result = lenient(value);
    const copy = result.value as Record<string, unknown>;
    expect(copy).toMatchObject({ a: { s: 1 }, f: undefined, g: undefined, z: "last" });
    expect(copy.m).toEqual(new Map([["k", undefined]]));
    expect(copy.l).toEqual([1, undefined, { s: 1 }]);
    expect((copy.l as unknown[])[2]).toBe(copy.a);
    expect((copy.e as Error).cause).toBeUndefined();
    expect(result.dropped.map(([path]) => path)).toEqual([
      ".f",
      ".m<value 0>",
      ".l[1]",
      ".g",
      ".e.cause",
    ]);
  });

  test.each(unclonable)("takes %s", (_, value) => {
    expect(lenient(value).dropped.length).toBe(1);
  });

  test("takes what cannot be looked at", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(lenient({ proxy }).dropped.length).toBe(1);
    expect(lenient(proxy)).toMatchObject({ value: undefined });
  });

  property.prop([anyValue])("writes what can be cloned as it is", (value) => {
    const result = lenient(value);
    expect(result.dropped).toEqual([]);
    assert.deepStrictEqual(result.value, structuredClone(value));
  });
});

describe("checkStorable", () => {
  test.each(unclonable)("finds %s", (_, value, path, kind) => {
    expect(checkStorable(value)).toContain(path);
    expect(checkStorable(value)).toMatch(kind);
  });

  test.each([[undefined], [1], ["a"], [{ a: [1, { b: new Map([[1, new Set([2])]]) }] }]])(
    "finds nothing wrong with %j",
    (value) => {
      expect(checkStorable(value)).toBeNull();
    },
  );

  test("looks at a bounded number of parts", () => {
    let looks = 0;
    const part = () => ({
      get a() {
        looks++;
        return 1;
      },
    });
    expect(checkStorable(Array.from({ length: 10_000 }, part))).toBeNull();
    expect(looks).toBeLessThanOrEqual(STORABLE_PARTS_CHECKED);
    expect(checkStorable(new Array(2 ** 32 - 1))).toBeNull();
    const cyclic: unknown[] = [];
    cyclic.push(cyclic, cyclic);
    expect(checkStorable(cyclic)).toBeNull();
  });
});

describe("damaged bytes", () => {
  test.each([
    ["nothing", ""],
    ["no tag", "7f"],
    ["an end", "51"],
    ["an object cut off", "508161"],
    ["an object with a name of another kind", "50010151"],
    ["an array of four thousand million", "4effffffff0f01"],
    ["a map of many", "53ffffff7f01"],
    ["bytes of many", "4dffffff7f01"],
    ["a reference without a mark", "4e015a00"],
    ["a reference to what comes later", "5b4e015a05"],
    ["a mark twice", "5b5b5000"],
    ["a view of an odd length", "56030301"],
    ["a view of no kind", "56ff0101"],
    ["an error of no kind", "57ff404051"],
    ["a pattern that is none", "588128" + "80"],
    ["a boxed object", "595051"],
    ["a boxed undefined", "5940"],
    ["an array with two lengths", "4f01866c656e6774680551"],
    ["an array longer than it is", "4f0081350151"],
    ["nested without end", "4e01".repeat(100_000)],
    ["boxed without end", "59".repeat(100_000)],
  ])("(%s) are DATA_CORRUPTED", (_, bytes) => {
    expect(failure(() => decodeValue(Buffer.from(bytes, "hex"))).code).toBe("DATA_CORRUPTED");
  });

  test("that claim many holes cost no memory", () => {
    for (const length of ["ffffffff0f", "80808010"]) {
      const before = process.memoryUsage().rss;
      const value = decodeValue(Buffer.from(`4f${length}51`, "hex")) as unknown[];
      value[0] = 1;
      expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    }
  });

  property.prop([fc.uint8Array({ maxLength: 100 })], { numRuns: 5_000 })(
    "of any kind give a value or an error",
    (bytes) => {
      outcome(bytes);
    },
  );

  property.prop([anyValue, fc.nat(), fc.nat({ max: 255 })], { numRuns: 2_000 })(
    "that differ in one byte, or end early, give a value or an error",
    (value, at, byte) => {
      const bytes = encodeValue(value);
      const index = at % bytes.length;
      outcome(bytes.slice(0, index));
      bytes[index] = byte;
      outcome(bytes);
    },
  );

  function outcome(bytes: Uint8Array): void {
    try {
      decodeValue(bytes);
    } catch (error) {
      expect((error as RaftKVError).code).toBe("DATA_CORRUPTED");
    }
  }
});

test("isPrimitive knows what cannot be shared by mistake", () => {
  for (const value of [undefined, null, 1, "a", 1n, true]) expect(isPrimitive(value)).toBe(true);
  for (const value of [{}, [], () => 1, Symbol("x")]) expect(isPrimitive(value)).toBe(false);
});
