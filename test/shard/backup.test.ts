/** What backups take from a shard and bring back to one, whatever commands and transfers do meanwhile. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Reader } from "../../ts/codec/index.ts";
import { Refusal } from "../../ts/machine/machine.ts";
import { type EntryImage, readEntry } from "../../ts/shard/entry-bytes.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import type { OwnedEntries } from "../../ts/shard/owned-entries.ts";
import {
  type ChangesReply,
  type ChunkReply,
  type KeysReply,
  type PlacedReply,
  type StatusReply,
  shardCommand,
  shardRead,
} from "../../ts/shard/requests.ts";
import { digestOf, END, Group, hashOf } from "./harness.ts";

/** Values are changed in place as well: what a backup has taken must not follow. */
const LISTS: ValuePerKey = {
  command: (previous, size, _key, arg) => {
    if (arg === "unset") return [size, 1, undefined, 0];
    const list = (previous as number[] | undefined) ?? [];
    list.push(arg as number);
    return [list.length, 1, list, list.length];
  },
  query: (value) => [value, 1],
};

const HALF = END / 2;
const someKey = fc.integer({ min: 0, max: 60 }).map((number) => `key-${number}`);

function owned(group: Group, from: number): Map<string, unknown> {
  const { keys } = group.read(shardRead.keys(from, 10_000)) as KeysReply;
  return new Map((keys as string[]).map((key) => [key, structuredClone(group.get(key))]));
}

function entriesIn(bytes: Uint8Array): EntryImage[] {
  const found: EntryImage[] = [];
  const reader = new Reader(bytes);
  while (reader.at < bytes.length) found.push(readEntry(reader));
  return found;
}

function begin(group: Group, from: number): OwnedEntries {
  const reading = group.machine.ownedEntries(from, 80);
  if (reading instanceof Refusal) throw new Error(reading.message);
  return reading;
}

/** The steps of moving the upper half from one group to another, one at a time. */
function* splitting(sender: Group, receiver: Group): Generator<void, void> {
  const range = { start: HALF, end: END };
  receiver.tell(shardCommand.expect(1, range, sender.group));
  sender.tell(shardCommand.begin(1, range, receiver.group));
  const { since } = (sender.read(shardRead.status()) as StatusReply).status;
  yield;
  for (let cursor: number | null = HALF; cursor !== null; ) {
    const chunk = sender.read(shardRead.chunk(1, cursor, 100)) as ChunkReply;
    receiver.tell(shardCommand.install(1, chunk.entries));
    cursor = chunk.cursor;
    yield;
  }
  const reply = sender.tell(shardCommand.handOver(1));
  if (!("certificate" in reply)) throw new Error("no certificate");
  for (let after = since as number, left = 1; left > 0; ) {
    const changes = sender.read(shardRead.changes(1, after, 100)) as ChangesReply;
    receiver.tell(shardCommand.install(1, changes.entries));
    ({ watermark: after, left } = changes);
    yield;
  }
  receiver.tell(shardCommand.open(1, reply.certificate));
  yield;
  sender.tell(shardCommand.finish(1));
}

describe("reading the owned entries", () => {
  it("gives each of them once, as it was when the reading began", () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.tuple(someKey, fc.constantFrom<unknown>(1, 2, "unset")) },
      { weight: 2, arbitrary: fc.nat(END - 1) },
      { weight: 4, arbitrary: fc.constant("slice" as const) },
      { weight: 2, arbitrary: fc.constant("move" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 200, size: "max" }), (steps) => {
        const index = new Map();
        const groups = [
          new Group(1, LISTS, { start: 0, end: END }, index),
          new Group(2, LISTS, null, index),
        ] as const;
        const moving = splitting(...groups);
        const readings: {
          reading: OwnedEntries;
          wanted: Map<string, unknown>;
          got: EntryImage[];
        }[] = [];
        const slice = ({ reading, got }: (typeof readings)[number]) => {
          const piece = reading.next();
          const entries = piece === null ? [] : entriesIn(piece.entries);
          expect(piece?.count ?? 0).toBe(entries.length);
          got.push(...entries);
          return piece !== null;
        };
        for (const now of steps) {
          if (now === "slice") for (const each of readings) slice(each);
          else if (now === "move") moving.next();
          else if (typeof now === "number") {
            const group = groups.find(({ machine }) => machine.owns(now));
            if (group === undefined) continue;
            readings.push({ reading: begin(group, now), wanted: owned(group, now), got: [] });
          } else {
            const hash = hashOf(now[0]);
            groups.find(({ machine }) => machine.owns(hash))?.run(now[0], now[1]);
          }
        }
        for (const each of readings) {
          while (slice(each));
          const { reading, wanted, got } = each;
          const keys = got.map(({ key }) => key);
          expect(new Set(keys).size).toBe(keys.length);
          expect(new Map(got.map(({ key, value }) => [key, value]))).toStrictEqual(wanted);
          for (const { hash } of got)
            expect(hash >= reading.start && hash < reading.end).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("is refused where the shard does not own the hash", () => {
    const group = new Group(1, LISTS, { start: 0, end: HALF });
    expect(group.machine.ownedEntries(HALF)).toMatchObject({ code: "ABOVE_RANGE" });
  });
});

/** All that a group owns, as a backup brings it. */
function allOf(group: Group): Uint8Array {
  const reading = begin(group, group.machine.range.start);
  const parts: Uint8Array[] = [];
  for (let piece = reading.next(); piece !== null; piece = reading.next())
    parts.push(piece.entries);
  return new Uint8Array(Buffer.concat(parts));
}

function filled(count: number, range = { start: 0, end: END }): Group {
  const group = new Group(1, LISTS, range);
  for (let at = 0; at < count; at++) {
    const hash = hashOf(`key-${at}`);
    if (hash >= range.start && hash < range.end) group.run(`key-${at}`, at);
  }
  return group;
}

describe("placing entries", () => {
  it("makes a shard what another was, and may be repeated", () => {
    const from = filled(100);
    const to = new Group(2, LISTS, { start: 0, end: END });
    const twin = to.clone();
    const command = shardCommand.place(allOf(from), false);
    const placed = { type: "placed", start: 0, end: END, placed: 100, equal: 0, differing: 0 };
    for (const group of [to, twin]) expect(group.tell(command)).toMatchObject(placed);
    expect(owned(to, 0)).toEqual(owned(from, 0));
    expect(to.machine.statistics()).toMatchObject({ keys: 100, size: 100 });
    const digest = digestOf(to.machine);
    expect(digestOf(twin.machine)).toBe(digest);
    expect(to.tell(command)).toMatchObject({ placed: 0, equal: 100 });
    expect(digestOf(to.machine)).toBe(digest);
    to.run("key-1", 7);
    expect(owned(to, 0).get("key-1")).toEqual([1, 7]);
    expect(owned(from, 0).get("key-1")).toEqual([1]);
  });

  it("leaves everything as it is where a key has another value, unless it is to be overwritten", () => {
    const entries = allOf(filled(50));
    const to = new Group(2, LISTS, { start: 0, end: END });
    to.run("key-3", "unset");
    to.run("key-7", 99);
    const digest = digestOf(to.machine);
    const refused = to.tell(shardCommand.place(entries, false)) as PlacedReply;
    expect(refused).toMatchObject({ placed: 0, equal: 0, differing: 1, example: "key-7" });
    expect(digestOf(to.machine)).toBe(digest);
    const taken = to.tell(shardCommand.place(entries, true));
    expect(taken).toMatchObject({ placed: 50, differing: 1 });
    expect(owned(to, 0)).toEqual(owned(filled(50), 0));
    expect(to.machine.statistics()).toMatchObject({ keys: 50, size: 50 });
  });

  it("leaves out what the shard does not own, also while a range moves", () => {
    const entries = allOf(filled(80));
    const index = new Map();
    const sender = new Group(1, LISTS, { start: 0, end: END }, index);
    const receiver = new Group(2, LISTS, null, index);
    for (const _ of splitting(sender, receiver)) {
      for (const group of [sender, receiver]) {
        const { start, end } = group.machine.range;
        const reply = group.tell(shardCommand.place(entries, false)) as PlacedReply;
        expect(reply).toMatchObject({ start, end, differing: 0 });
      }
    }
    const both = new Map([...owned(sender, 0), ...owned(receiver, HALF)]);
    expect(both).toEqual(owned(filled(80), 0));
  });

  it("is not seen by a snapshot, checksum or reading that began before", () => {
    const to = filled(40);
    const before = digestOf(to.machine);
    const pass = to.machine.checksum();
    const reading = begin(to, 0);
    const writer = to.machine.snapshot();
    const other = new Group(3, LISTS, { start: 0, end: END });
    for (let at = 0; at < 60; at++) other.run(`key-${at}`, -at);
    to.tell(shardCommand.place(allOf(other), true));
    expect(owned(to, 0)).toEqual(owned(other, 0));
    expect(pass.next(Number.POSITIVE_INFINITY)).toBe(before);
    const values: unknown[] = [];
    for (let piece = reading.next(); piece !== null; piece = reading.next()) {
      values.push(...entriesIn(piece.entries).map(({ value }) => value));
    }
    expect(values).toHaveLength(40);
    const pieces: Uint8Array[] = [];
    for (let piece = writer.next(500); piece !== null; piece = writer.next(500)) pieces.push(piece);
    const restored = new Group(1, LISTS, null);
    restored.load(pieces, [], 1, 1);
    expect(digestOf(restored.machine)).toBe(before);
  });

  it("refuses bytes that are no entries, and changes nothing", () => {
    const to = filled(5);
    const digest = digestOf(to.machine);
    const entries = allOf(filled(20));
    for (const bytes of [entries.subarray(0, 30), new Uint8Array([1, 2, 3]), entries.subarray(5)]) {
      expect(to.tell(shardCommand.place(bytes, true))).toMatchObject({ code: "REJECTED" });
    }
    expect(digestOf(to.machine)).toBe(digest);
  });
});
