import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ShardEntry } from "../../ts/shard/entry.ts";
import type { ShardMachine } from "../../ts/shard/machine.ts";
import { compareEntries, HashTable } from "../../ts/shard/table.ts";
import { END } from "./harness.ts";

const nowhere = undefined as unknown as ShardMachine;

function entryOf(hash: number, fingerprint: number, identity: string): ShardEntry {
  return new ShardEntry(nowhere, identity, identity, hash, fingerprint, 0);
}

function all(table: HashTable): ShardEntry[] {
  return table.within(0, END);
}

/** Hashes that crowd a few leaves as well as hashes all over the space. */
const someHash = fc.oneof(
  fc.integer({ min: 0, max: END - 1 }),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: END / 2 - 20, max: END / 2 + 20 }),
);

describe("the table", () => {
  it("holds what a plain map holds, in order, through inserts, removals and cuts", () => {
    const step = fc.record({
      hash: someHash,
      fingerprint: fc.integer({ min: -2, max: 2 }),
      name: fc.constantFrom("a", "b", "c"),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), someHash, someHash, (steps, a, b) => {
        const table = new HashTable();
        const model = new Map<string, ShardEntry>();
        for (const { hash, fingerprint, name, remove } of steps) {
          const id = `${hash}/${fingerprint}/${name}`;
          const present = model.get(id);
          expect(table.find(hash, fingerprint, name)).toBe(present);
          if (present === undefined) {
            const entry = entryOf(hash, fingerprint, name);
            table.insert(entry);
            model.set(id, entry);
          } else if (remove) {
            table.remove(present);
            model.delete(id);
          }
        }
        const sorted = [...model.values()].sort(compareEntries);
        expect(table.count).toBe(sorted.length);
        expect(all(table)).toEqual(sorted);
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        const inside = sorted.filter(({ hash }) => hash >= start && hash < end);
        expect(table.within(start, end)).toEqual(inside);
        const cut = table.cut(start, end);
        expect(all(cut)).toEqual(inside);
        expect(cut.count).toBe(inside.length);
        expect(all(table)).toEqual(sorted.filter((entry) => !inside.includes(entry)));
        for (const entry of all(table)) table.remove(entry);
        expect(table.count).toBe(0);
        expect(all(table)).toEqual([]);
      }),
    );
  });

  it("does not depend on the order of inserts", () => {
    const entries = fc.uniqueArray(fc.tuple(someHash, fc.constantFrom("x", "y")), {
      selector: ([hash, name]) => `${hash}${name}`,
      maxLength: 100,
    });
    fc.assert(
      fc.property(entries, (tuples) => {
        const forward = new HashTable();
        const backward = new HashTable();
        const made = tuples.map(([hash, name]) => entryOf(hash, 0, name));
        for (const entry of made) forward.insert(entry);
        for (const entry of [...made].reverse()) backward.insert(entry);
        expect(all(forward)).toEqual(all(backward));
      }),
    );
  });

  it("stops where the visitor says so", () => {
    const table = new HashTable();
    for (let hash = 0; hash < 1_000; hash++) table.insert(entryOf(hash * 100, 0, "k"));
    const seen: number[] = [];
    const ended = table.walk(5_000, END, ({ hash }) => {
      seen.push(hash);
      return seen.length < 3;
    });
    expect(ended).toBe(false);
    expect(seen).toEqual([5_000, 5_100, 5_200]);
  });
});
