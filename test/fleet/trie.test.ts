import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Trie } from "../../ts/fleet/trie.ts";

type Numbers = Map<number, object>;

// Neighbours, and numbers that make the trie grow by several levels at once.
const number = fc.oneof(fc.nat(70), fc.nat(40_000), fc.nat(2 ** 31 - 1));
const step = fc.record({ at: number, value: fc.option(fc.record({}), { nil: undefined }) });

function differences(before: Numbers, after: Numbers) {
  const numbers = [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a - b);
  return numbers.map((at) => [before.get(at), after.get(at)]).filter(([old, next]) => old !== next);
}

describe("trie", () => {
  test("is a sorted map that leaves every earlier version as it was", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, seed) => {
        let trie = Trie.empty<object>();
        let model: Numbers = new Map();
        const versions: [Trie<object>, Numbers][] = [[trie, model]];
        for (const { at, value } of steps) {
          trie = trie.with(at, value);
          model = new Map(model);
          if (value === undefined) model.delete(at);
          else model.set(at, value);
          versions.push([trie, model]);
        }
        for (const [version, numbers] of versions) {
          for (const { at } of steps) expect(version.get(at)).toBe(numbers.get(at));
          const sorted = [...numbers].sort(([a], [b]) => a - b).map(([, value]) => value);
          expect(version.values()).toEqual(sorted);
        }
        const [before, known] = versions[seed % versions.length]!;
        const changes = trie.changesSince(before);
        const expected = differences(known, model);
        expect(changes.length).toBe(expected.length);
        for (const [at, [old, next]] of changes.entries()) {
          expect(old).toBe(expected[at]?.[0]);
          expect(next).toBe(expected[at]?.[1]);
        }
        expect(before.changesSince(trie).length).toBe(expected.length);
        expect(trie.changesSince(trie)).toEqual([]);
      }),
    );
  });

  test("has nothing where nothing was put, beyond its numbers too", () => {
    const trie = Trie.empty<number>().with(3, 30);
    expect([0, 3, 31, 32, 2 ** 31 - 1].map((at) => trie.get(at))).toEqual([
      undefined,
      30,
      undefined,
      undefined,
      undefined,
    ]);
    expect(
      trie
        .with(2 ** 31 - 1, 1)
        .with(3, undefined)
        .values(),
    ).toEqual([1]);
  });
});
