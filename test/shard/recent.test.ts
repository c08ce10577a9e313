import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isShortTextKey, keyIdentity, Writer, writeKey } from "../../ts/codec/index.ts";
import { RECENT_ENTRIES_MAX } from "../../ts/limits.ts";
import { ShardEntry } from "../../ts/shard/entry.ts";
import type { ShardMachine } from "../../ts/shard/machine.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import { RecentEntries } from "../../ts/shard/recent.ts";
import { HashTable } from "../../ts/shard/table.ts";
import { commandOf, END, Group } from "./harness.ts";

const nowhere = undefined as unknown as ShardMachine;

function entryOf(hash: number, fingerprint: number): ShardEntry {
  const name = `${hash}/${fingerprint}`;
  return new ShardEntry(nowhere, name, name, hash, fingerprint, 0);
}

describe("recent entries", () => {
  it("are found by their hashes alone, until others take their places", () => {
    const recent = new RecentEntries();
    const entry = entryOf(5, -7);
    expect(recent.find(5, -7)).toBeUndefined();
    recent.add(entry, 1);
    expect(recent.find(5, -7)).toBe(entry);
    expect(recent.find(6, -7)).toBeUndefined();
    expect(recent.find(5, -8)).toBeUndefined();
    recent.delete(entry);
    expect(recent.find(5, -7)).toBeUndefined();
  });

  it("most are kept while they are many, in limited memory", () => {
    const recent = new RecentEntries();
    const count = RECENT_ENTRIES_MAX;
    const entries = Array.from({ length: count }, (_, at) =>
      entryOf(at, Math.imul(at, 0x9e37_79b1)),
    );
    for (const entry of entries) recent.add(entry, count);
    const found = entries.filter(({ hash, fingerprint }) => recent.find(hash, fingerprint));
    expect(found.length).toBeGreaterThan(count / 2);
    expect(found.length).toBeLessThanOrEqual(RECENT_ENTRIES_MAX);
  });

  it("are entries of the table, whatever is removed and cut", () => {
    const step = fc.record({
      hash: fc.nat(30),
      fingerprint: fc.constantFrom(0, 1, 16, -16),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(30), (steps, end) => {
        const table = new HashTable();
        for (const { hash, fingerprint, remove } of steps) {
          const present = table.find(hash, fingerprint, `${hash}/${fingerprint}`);
          const known = table.findRecent(hash, fingerprint);
          if (known !== undefined) expect(known).toBe(present);
          if (present === undefined) table.insert(entryOf(hash, fingerprint));
          else if (remove) table.remove(present);
          else if (known === undefined) table.remember(present);
        }
        table.cut(0, end);
        for (const { hash, fingerprint } of steps) {
          const known = table.findRecent(hash, fingerprint);
          if (known !== undefined) expect(table.within(0, END)).toContain(known);
        }
      }),
    );
  });

  it("never answer for another key that has the same hashes", () => {
    const keys = ["aa", "ab", "a", "", "1", 1, ["1"], "\u00e9", "\u0119", "x".repeat(127), true];
    const module: ValuePerKey = {
      command: (previous, _size, key, arg) =>
        arg === "unset"
          ? [previous, 0, undefined, 0]
          : [previous, 0, [keyIdentity(key as string), arg], 1],
      query: (value) => [value, 0],
    };
    const step = fc.record({
      key: fc.constantFrom(...keys),
      argument: fc.oneof(fc.constant("unset"), fc.nat()),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const group = new Group(1, module, { start: 0, end: END });
        const model = new Map<unknown, unknown>();
        for (const [at, { key, argument }] of steps.entries()) {
          const session = { node: 1, incarnation: 1, batch: at, acknowledged: at, retry: false };
          const sent = { ...session, request: at, key, hash: 5, argument };
          const command = { ...commandOf(sent), hash: 5, fingerprint: 9 };
          const context = { index: at, now: 0, random: () => 0, settle: () => undefined };
          const identity = keyIdentity(key);
          const result = group.machine.apply(command, context);
          expect(result === undefined).toBe(!model.has(identity));
          if (argument === "unset") model.delete(identity);
          else model.set(identity, [identity, argument]);
        }
        const held = new Map([...group.keyIndex].map(([identity, { value }]) => [identity, value]));
        expect(held).toEqual(model);
      }),
    );
  });
});

describe("a short text by its bytes", () => {
  it("is told apart from every other key", () => {
    const some = fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.string({ minLength: 120, maxLength: 130 }),
      fc.constantFrom("\u00ff", "\u0100", "\ud800", 7, true, 3n, ["a"]),
    );
    fc.assert(
      fc.property(some, some, fc.boolean(), (key, other, same) => {
        const writer = new Writer();
        writer.reserve(1);
        writer.length = 1;
        writeKey(writer, key);
        const asked = same ? key : other;
        const isIt = isShortTextKey(writer.bytes, 1, writer.length, asked);
        const short = typeof key === "string" && /^[\0-\xff]{0,127}$/.test(key);
        expect(isIt).toBe(short && asked === key);
      }),
    );
  });
});
