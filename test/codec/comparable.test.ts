/** The form in which replicas compare values: equal on nodes whose values are equal. */
import { fc, test as property } from "@fast-check/vitest";
import { expect, test } from "vitest";
import {
  decodeValue,
  encodeValue,
  Reader,
  readValue,
  Writer,
  writeComparableValue,
  writeValueLenient,
} from "../../ts/codec/index.ts";

function comparable(value: unknown): Uint8Array {
  const writer = new Writer();
  writeComparableValue(writer, value);
  return writer.copy();
}

property.prop([fc.anything({ withMap: true, withSet: true, withDate: true, withBigInt: true })])(
  "a value and what a snapshot makes of it are the same",
  (value) => {
    const writer = new Writer();
    writeValueLenient(writer, value, () => undefined);
    const restored = readValue(new Reader(writer.copy()));
    expect(comparable(restored)).toEqual(comparable(value));
  },
);

test("errors are compared without their stacks, which name a node's files", () => {
  const here = new TypeError("wrong", { cause: new Error("why") });
  const there = new TypeError("wrong", { cause: new Error("why") });
  there.stack = "TypeError: wrong\n    at /elsewhere/service.mjs:1:1";
  expect(comparable(here)).toEqual(comparable(there));
  expect(comparable(here)).not.toEqual(comparable(new TypeError("other", { cause: here.cause })));
  // What is stored keeps its stack, also after a comparison.
  expect((decodeValue(encodeValue(there)) as Error).stack).toBe(there.stack);
});

test("what cannot be stored counts as undefined, as it does in a snapshot", () => {
  const shared = { x: 1 };
  const value = { a: shared, b: shared, run: () => 1 };
  expect(comparable(value)).toEqual(comparable({ a: shared, b: shared, run: undefined }));
  expect(comparable(value)).not.toEqual(comparable({ a: shared, b: { x: 1 }, run: undefined }));
});
