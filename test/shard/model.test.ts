import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChecksumPass, SnapshotWriter } from "../../ts/machine/machine.ts";
import { findEntry, type KeyIndex } from "../../ts/shard/entry.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import {
  type ChangesReply,
  type ChunkReply,
  type KeysReply,
  type StatusReply,
  shardCommand,
  shardRead,
} from "../../ts/shard/requests.ts";
import { digestOf, END, Group, hashOf, plain } from "./harness.ts";

/** Values are changed in place as well as replaced: a snapshot must not see either. */
type Argument = { push: number } | { replace: number } | "unset" | "fail" | "read";
const LISTS: ValuePerKey<number[], string, Argument, unknown> = {
  command: (previous, size, _key, arg, { now, random }) => {
    if (arg === "unset") return [size, 1, undefined, 0];
    if (arg === "read") return [previous ?? null, 1, previous, size];
    if (arg === "fail") throw new Error("asked to");
    if ("replace" in arg) return [now, 2, [arg.replace, random()], 2];
    const list = previous ?? [];
    list.push(arg.push);
    return [list.length, 3, list, list.length];
  },
  query: (value) => [value, 1],
};

const someArgument: fc.Arbitrary<Argument> = fc.oneof(
  fc.record({ push: fc.nat(9) }),
  fc.record({ replace: fc.nat(9) }),
  fc.constantFrom("unset" as const, "fail" as const, "read" as const),
);
const someKey = fc.integer({ min: 0, max: 40 }).map((number) => `key-${number}`);

/** What the shard should hold. */
class Model {
  readonly values = new Map<string, number[]>();

  run(key: string, argument: Argument, random: () => number): void {
    const value = this.values.get(key);
    if (argument === "unset") this.values.delete(key);
    else if (argument === "fail" || argument === "read") return;
    else if ("replace" in argument) this.values.set(key, [argument.replace, random()]);
    else this.values.set(key, [...(value ?? []), argument.push]);
  }
}

function contents(group: Group): Map<string, unknown> {
  const page = group.read(shardRead.keys(group.machine.range.start, 10_000)) as KeysReply;
  return new Map((page.keys as string[]).map((key) => [key, structuredClone(group.get(key))]));
}

/** Only the first number of a value counts: the second may be chance. */
function shown(values: Map<string, unknown>): unknown[] {
  return [...values]
    .map(([key, value]) => [key, (value as number[]).map(Math.floor)])
    .sort((a, b) => String(a[0]).localeCompare(String(b[0])));
}

describe("one shard", () => {
  it("holds what a plain map holds; snapshots and checksums are of when they began", () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ key: someKey, argument: someArgument }) },
      { weight: 1, arbitrary: fc.constant("all" as const) },
      { weight: 1, arbitrary: fc.constant("snapshot" as const) },
      { weight: 1, arbitrary: fc.constant("checksum" as const) },
      { weight: 4, arbitrary: fc.constant("slice" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const group = new Group(1, LISTS as ValuePerKey, { start: 0, end: END });
        const twin = new Group(1, LISTS as ValuePerKey, { start: 0, end: END });
        const model = new Model();
        let running: { writer: SnapshotWriter; pieces: Uint8Array[]; digest: string } | null = null;
        const passes: { pass: ChecksumPass; digest: string; checksum: string | null }[] = [];
        const slice = (bytes: number): boolean => {
          for (const each of passes) each.checksum ??= each.pass.next(bytes);
          const piece = running?.writer.next(bytes) ?? null;
          if (piece !== null) running?.pieces.push(piece);
          return piece !== null;
        };
        for (const now of steps) {
          if (now === "snapshot" && running === null) {
            const digest = digestOf(group.machine);
            running = { writer: group.machine.snapshot(), pieces: [], digest };
          } else if (now === "checksum") {
            const digest = digestOf(twin.machine);
            passes.push({ pass: group.machine.checksum(), digest, checksum: null });
          } else if (now === "slice") {
            slice(50);
          } else if (now === "all") {
            const all = shardCommand.all({ push: 7 });
            expect(group.tell(all)).toEqual(twin.tell(all));
            for (const key of model.values.keys()) model.run(key, { push: 7 }, () => 0);
          } else if (typeof now === "object") {
            const { key, argument } = now;
            expect(plain(group.run(key, argument))).toEqual(plain(twin.run(key, argument)));
            model.run(key, argument, () => 0);
          }
        }
        expect(shown(contents(group))).toEqual(shown(model.values));
        expect(digestOf(group.machine)).toBe(digestOf(twin.machine));
        expect(group.machine.statistics().keys).toBe(model.values.size);
        expect(group.keyIndex.size).toBe(model.values.size);
        if (running !== null) {
          while (slice(50));
          const restored = new Group(1, LISTS as ValuePerKey, null);
          restored.load(running.pieces, [], 1, 1);
          expect(digestOf(restored.machine)).toBe(running.digest);
        }
        for (const { pass, digest, checksum } of passes) {
          expect(checksum ?? pass.next(Number.POSITIVE_INFINITY)).toBe(digest);
        }
        const copy = group.clone();
        expect(digestOf(copy.machine)).toBe(digestOf(group.machine));
        expect(copy.machine.statistics()).toMatchObject({ keys: model.values.size });
      }),
      { numRuns: 200 },
    );
  });

  it("refuses a snapshot that is not whole", () => {
    const group = new Group(1, LISTS as ValuePerKey, { start: 0, end: END });
    for (let number = 0; number < 100; number++) group.run(`k${number}`, { push: 1 });
    const pieces: Uint8Array[] = [];
    const writer = group.machine.snapshot();
    for (let piece = writer.next(200); piece !== null; piece = writer.next(200)) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(3);
    for (const piece of pieces) expect(piece.length).toBeLessThan(400);
    const load = (some: Uint8Array[]) => () =>
      new Group(1, LISTS as ValuePerKey, null).load(some, [], 1, 1);
    expect(load(pieces)).not.toThrow();
    expect(load(pieces.slice(1))).toThrow(/cannot be read/);
    expect(load(pieces.slice(0, -1))).toThrow(/cannot be read/);
    expect(load([...pieces.slice(0, 1), ...pieces.slice(2)])).toThrow(/entries/);
  });

  it("gives a digest that tells one value from another", () => {
    const one = new Group(1, LISTS as ValuePerKey, { start: 0, end: END });
    const two = new Group(1, LISTS as ValuePerKey, { start: 0, end: END });
    one.run("k", { push: 1 });
    two.run("k", { push: 2 });
    expect(digestOf(one.machine)).not.toBe(digestOf(two.machine));
  });
});

/** Shards of one node that split and merge; `find` is what a node's query does. */
class Keyspace {
  index: KeyIndex = new Map();
  groups: Group[] = [
    new Group(1, LISTS as ValuePerKey, { start: 0, end: END }, this.index, undefined, 40),
  ];
  transfers = 0;
  private made = 1;

  owner(hash: number): Group {
    const owners = this.groups.filter(({ machine }) => machine.owns(hash));
    expect(owners).toHaveLength(1);
    return owners[0]!;
  }

  run(key: string, argument: Argument): void {
    this.owner(hashOf(key)).run(key, argument);
  }

  /** Carries a transfer out, with commands between its steps. */
  move(sender: Group, receiver: Group, start: number, between: () => void): void {
    const transfer = ++this.transfers;
    const range = { start, end: sender.machine.range.end };
    receiver.tell(shardCommand.expect(transfer, range, sender.group));
    sender.tell(shardCommand.begin(transfer, range, receiver.group));
    const { since } = (sender.read(shardRead.status()) as StatusReply).status;
    between();
    for (let cursor: number | null = start; cursor !== null; ) {
      const chunk = sender.read(shardRead.chunk(transfer, cursor, 100)) as ChunkReply;
      between();
      receiver.tell(shardCommand.install(transfer, chunk.entries));
      cursor = chunk.cursor;
    }
    const reply = sender.tell(shardCommand.handOver(transfer));
    if (!("certificate" in reply)) throw new Error("no certificate");
    for (let after = since as number, left = 1; left > 0; ) {
      const changes = sender.read(shardRead.changes(transfer, after, 100)) as ChangesReply;
      receiver.tell(shardCommand.install(transfer, changes.entries));
      ({ watermark: after, left } = changes);
    }
    const opened = receiver.tell(shardCommand.open(transfer, reply.certificate));
    expect(opened).toEqual({ type: "done" });
    between();
    expect(sender.tell(shardCommand.finish(transfer))).toEqual({ type: "done" });
    between();
  }

  split(at: number, between: () => void): void {
    const sender = this.groups[at % this.groups.length]!;
    const { start, end } = sender.machine.range;
    const receiver = new Group(++this.made, LISTS as ValuePerKey, null, this.index);
    this.groups.push(receiver);
    this.move(sender, receiver, (start + end) / 2, between);
  }

  merge(at: number, between: () => void): void {
    const sorted = [...this.groups].sort((a, b) => a.machine.range.start - b.machine.range.start);
    if (sorted.length < 2) return;
    const left = at % (sorted.length - 1);
    const [receiver, sender] = [sorted[left]!, sorted[left + 1]!];
    this.move(sender, receiver, sender.machine.range.start, between);
    sender.machine.close();
    this.groups = this.groups.filter((group) => group !== sender);
  }

  /** All shards crash and come back from their snapshots. */
  restart(): void {
    this.index = new Map();
    this.groups = this.groups.map((group) => group.clone(this.index));
  }

  keys(): string[] {
    const keys: string[] = [];
    for (let from = 0; from < END; ) {
      const page = this.owner(from).read(shardRead.keys(from, 2)) as KeysReply;
      keys.push(...(page.keys as string[]));
      from = page.next;
    }
    return keys;
  }
}

describe("shards that split and merge", () => {
  it("hold together what a plain map holds, whatever happens between the steps", () => {
    const command = fc.record({ key: someKey, argument: someArgument });
    const step = fc.record({
      kind: fc.constantFrom("split", "split", "merge", "restart", "none"),
      at: fc.nat(7),
      commands: fc.array(command, { maxLength: 30 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const keyspace = new Keyspace();
        const model = new Model();
        for (const { kind, at, commands } of steps) {
          const waiting = [...commands];
          const between = () => {
            for (const { key, argument } of waiting.splice(0, 3)) {
              keyspace.run(key, argument);
              model.run(key, argument, () => 0);
            }
          };
          if (kind === "split") keyspace.split(at, between);
          else if (kind === "merge") keyspace.merge(at, between);
          else if (kind === "restart") keyspace.restart();
          while (waiting.length > 0) between();
          const found = new Map<string, unknown>();
          for (const key of keyspace.keys()) found.set(key, findEntry(keyspace.index, key)?.value);
          expect(shown(found)).toEqual(shown(model.values));
          for (let number = 0; number <= 40; number++) {
            const key = `key-${number}`;
            expect(findEntry(keyspace.index, key) !== undefined).toBe(model.values.has(key));
          }
          const counted = keyspace.groups.map(({ machine }) => machine.statistics().keys);
          expect(counted.reduce((a, b) => a + b)).toBe(model.values.size);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("walk every key that exists throughout exactly once while a range moves", () => {
    for (let moved = 0; moved <= 12; moved++) {
      const keyspace = new Keyspace();
      for (let number = 0; number <= 40; number++) keyspace.run(`key-${number}`, { push: 1 });
      const keys: string[] = [];
      let pages = 0;
      for (let from = 0; from < END; pages++) {
        if (pages === moved) keyspace.split(0, () => undefined);
        if (pages === moved + 2) keyspace.merge(0, () => undefined);
        const page = keyspace.owner(from).read(shardRead.keys(from, 3)) as KeysReply;
        keys.push(...(page.keys as string[]));
        from = page.next;
      }
      expect(keys).toHaveLength(41);
      expect(new Set(keys).size).toBe(41);
    }
  });
});
