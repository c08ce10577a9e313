import { inspect } from "node:util";
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { type Key, keyIdentity, Reader, readKey, Writer, writeKey } from "../../ts/codec/index.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { KEY_BYTES_MAX, KEY_NESTING_MAX } from "../../ts/limits.ts";

function encoded(key: unknown): Uint8Array {
  const w = new Writer();
  writeKey(w, key);
  return w.copy();
}

function decoded(bytes: Uint8Array): Key {
  return readKey(new Reader(bytes));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof RaftKVError) return error.code;
    throw error;
  }
  return "no error";
}

/** How keys are equal: in type and value. */
function equal(a: Key, b: Key): boolean {
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && hex(a) === hex(b);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  return a === b;
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 })
    .map((codes) => String.fromCharCode(...codes)),
  fc.constantFrom("", "\0", "\0a", "é", "\ud800", "日本", "x".repeat(127), "x".repeat(128)),
);
const primitive = fc.oneof(
  text,
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.constantFrom(0, -0, 63, 64, -1, 127, 128, -128, -129, 32767, 32768, 2 ** 31, -(2 ** 31)),
  fc.bigInt(),
  fc.constantFrom(0n, 1n, -1n, 255n, 256n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 300n)),
  fc.boolean(),
);
const key: fc.Arbitrary<Key> = fc.letrec<{ key: Key }>((tie) => ({
  key: fc.oneof(
    { maxDepth: 4 },
    primitive,
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie("key"), { maxLength: 4 }),
  ),
})).key;

describe("the bytes of a key", () => {
  // Shards are found by a hash of these bytes: a change here would lose every key that is stored.
  const golden: [Key, string][] = [
    ["", "80"],
    ["a", "8161"],
    ["foo", "83666f6f"],
    ["\0", "8100"],
    ["é", "81e9"],
    ["ÿ".repeat(3), "83ffffff"],
    ["€", "4b03e282ac"],
    ["日本", "4b06e697a5e69cac"],
    ["👍", "4b04f09f918d"],
    ["\ud800a", "4c0200d86100"],
    [0, "00"],
    [-0, "00"],
    [63, "3f"],
    [64, "4440"],
    [-1, "44ff"],
    [-128, "4480"],
    [128, "458000"],
    [-32768, "450080"],
    [32768, "4600800000"],
    [-2147483648, "4600000080"],
    [2147483648, "47000000000000e041"],
    [1.5, "47000000000000f83f"],
    [Infinity, "47000000000000f07f"],
    [0n, "4800"],
    [1n, "480101"],
    [-1n, "490101"],
    [2n ** 64n, "4809000000000000000001"],
    [-(2n ** 64n), "4909000000000000000001"],
    [false, "42"],
    [true, "43"],
    [new Uint8Array([]), "4d00"],
    [new Uint8Array([1, 255]), "4d0201ff"],
    [[], "4e00"],
    [["a", [1, 2n]], "4e0281614e0201480102"],
  ];
  test.each(golden.map(([value, bytes]) => [inspect(value), value, bytes] as const))(
    "of %s are for good",
    (_, value, expected) => {
      expect(hex(encoded(value))).toBe(expected);
      expect(equal(decoded(Buffer.from(expected, "hex")), value)).toBe(true);
    },
  );

  test("of a long text have its length first", () => {
    expect(hex(encoded("a".repeat(127)))).toBe(`ff${"61".repeat(127)}`);
    expect(hex(encoded("a".repeat(128)))).toBe(`4a8001${"61".repeat(128)}`);
    expect(hex(encoded("€".repeat(100)))).toBe(`4bac02${"e282ac".repeat(100)}`);
  });

  test("do not depend on how the engine holds a text", () => {
    const wide = `${"a".repeat(40)}€`.slice(0, 40);
    const joined = ["a".repeat(20), "a".repeat(20)].join("");
    expect(hex(encoded(wide))).toBe(hex(encoded(joined)));
    const long = `${"a".repeat(400)}€`.slice(0, 400);
    expect(hex(encoded(long))).toBe(hex(encoded("a".repeat(400))));
  });

  test("of a Buffer are those of its bytes alone", () => {
    expect(hex(encoded(Buffer.from("abc")))).toBe("4d03616263");
  });

  property.prop([key])("give the key back", (value) => {
    const bytes = encoded(value);
    const reader = new Reader(Buffer.concat([Buffer.from([9, 9]), bytes, Buffer.from([7])]), 2);
    expect(equal(readKey(reader), value)).toBe(true);
    expect(reader.at).toBe(2 + bytes.length);
  });

  property.prop([key, key])("and the identity are equal exactly for equal keys", (a, b) => {
    expect(hex(encoded(a)) === hex(encoded(b))).toBe(equal(a, b));
    expect(new Map([[keyIdentity(a), 1]]).has(keyIdentity(b))).toBe(equal(a, b));
    expect(keyIdentity(decoded(encoded(a)))).toBe(keyIdentity(a) === 0 ? 0 : keyIdentity(a));
  });
});

describe("the identity of a key", () => {
  test("is the key for nearly all primitives", () => {
    for (const value of ["a", "", "é\0", 1, 1.5, 1n, true]) expect(keyIdentity(value)).toBe(value);
  });

  test("keeps apart what has the same bytes or text", () => {
    const keys: Key[] = [
      "1",
      1,
      1n,
      true,
      [1],
      ["1"],
      [[1]],
      [],
      "",
      "\0",
      "\0\x81\0",
      "\0\x00",
      "\0\x81a",
      new Uint8Array([1]),
      new Uint8Array([]),
      [new Uint8Array([1])],
      0,
      false,
      0n,
    ];
    expect(new Set(keys.map(keyIdentity)).size).toBe(keys.length);
  });
});

describe("what is no key", () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  let deep: unknown = 1;
  for (let i = 0; i <= KEY_NESTING_MAX; i++) deep = [deep];
  test.each<[string, unknown, RegExp]>([
    ["NaN", Number.NaN, /NaN/],
    ["null", null, /null/],
    ["undefined", undefined, /undefined/],
    ["a plain object", {}, /a plain object/],
    ["a Date", new Date(0), /a Date/],
    ["a Map", new Map(), /a Map/],
    ["a function", () => 1, /a function/],
    ["a symbol", Symbol("s"), /a symbol/],
    ["a boxed string", Object("a"), /a String/],
    ["another typed array", new Int8Array(1), /an Int8Array/],
    ["a DataView", new DataView(new ArrayBuffer(1)), /a DataView/],
    ["something wrong within", ["a", ["b", null]], /null/],
    ["a hole", new Array(2), /undefined/],
    ["an array within itself", cyclic, /nested/],
    ["too deep", deep, /nested/],
    ["too long a text", "a".repeat(KEY_BYTES_MAX), /too long/],
    ["too long bytes", new Uint8Array(KEY_BYTES_MAX), /too long/],
    ["too many parts", new Array(KEY_BYTES_MAX).fill(1), /too long/],
    ["an array of any length", new Array(2 ** 32 - 1), /too long/],
  ])("%s is refused, and nothing is written", (_, value, message) => {
    const w = new Writer();
    writeKey(w, "before");
    const { length } = w;
    expect(codeOf(() => writeKey(w, value))).toBe("INVALID_KEY");
    expect(() => writeKey(w, value)).toThrow(message);
    expect(w.length).toBe(length);
  });

  test("the longest key is taken", () => {
    const longest = "a".repeat(KEY_BYTES_MAX - 4);
    expect(encoded(longest).length).toBe(KEY_BYTES_MAX);
    expect(decoded(encoded(longest))).toBe(longest);
  });
});

describe("a key that is read", () => {
  test("is frozen and shares no memory", () => {
    const bytes = encoded([new Uint8Array([1, 2]), ["a"]]);
    const [inner, list] = decoded(bytes) as [Uint8Array, string[]];
    expect(Object.isFrozen(decoded(bytes))).toBe(true);
    expect(Object.isFrozen(list)).toBe(true);
    bytes.fill(0);
    expect([...inner]).toEqual([1, 2]);
    expect(inner.buffer.byteLength).toBe(2);
  });

  test("from a Buffer is no Buffer", () => {
    const value = decoded(Buffer.from(encoded(new Uint8Array([1]))));
    expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
  });

  test.each([
    ["nothing", ""],
    ["a text cut off", "8361"],
    ["a long text cut off", "4aff0161"],
    ["a text that is not UTF-8", "4b01ff"],
    ["a length beyond 32 bits", "4dffffffffff01"],
    ["a count that cannot be", "4effffffff0f"],
    ["NaN", "47000000000000f87f"],
    ["undefined", "40"],
    ["an object", "5051"],
    ["minus zero as a bigint", "4900"],
    ["zeros before a bigint", "480100"],
    ["nested without end", "4e01".repeat(1000)],
  ])("from damaged bytes (%s) is DATA_CORRUPTED", (_, bytes) => {
    expect(codeOf(() => decoded(Buffer.from(bytes, "hex")))).toBe("DATA_CORRUPTED");
  });

  property.prop([fc.uint8Array({ maxLength: 60 })])(
    "from any bytes is a key or an error",
    (bytes) => {
      let value: Key;
      try {
        value = decoded(bytes);
      } catch (error) {
        expect((error as RaftKVError).code).toBe("DATA_CORRUPTED");
        return;
      }
      expect(equal(decoded(encoded(value)), value)).toBe(true);
    },
  );
});
