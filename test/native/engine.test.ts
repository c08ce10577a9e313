/** The boundary itself: what crosses, in which order, and what errors become. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { ERROR_CODES, RaftKVError } from "../../ts/errors.ts";
import { type NativeEngine, openEngine } from "../../ts/native/engine.ts";
import { EVENT_TYPE, LEASE_FOREVER } from "../../ts/native/frames.ts";
import { Collector, carries, OPTIONS, open, record } from "./support.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "raft-kv-native-"));
  cleanups.push(() => rmSync(path, { recursive: true }));
  return path;
}

async function opened(options?: Parameters<typeof open>[0]) {
  const both = await open(options);
  cleanups.push(() => both.engine.close());
  return both;
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("a command comes back as an entry", async () => {
  const { engine, collector } = await opened();
  expect(await engine.createGroup(7, bytes("descriptor"))).toBeGreaterThanOrEqual(0);
  const outbox = new Uint8Array(256);
  const command = record(7, 1, bytes("increase"));
  outbox.set(command);
  engine.submit(outbox, command.length, 1);
  await collector.until(() => collector.of(EVENT_TYPE.entry).some((e) => e.group === 7));
  const entries = collector.of(EVENT_TYPE.entry);
  expect(entries.filter((entry) => carries(entry, bytes("increase")))).toHaveLength(1);
});

test("the lease of a group appears in shared memory once the host is ready", async () => {
  const { engine, collector } = await opened();
  const slots = new Int32Array(engine.leases());
  const slot = await engine.createGroup(3, bytes("d"));
  await collector.until(() => collector.of(EVENT_TYPE.leaderReady).length > 0);
  expect(Atomics.load(slots, slot)).toBe(LEASE_FOREVER);
  await engine.closeGroup(3);
  expect(Atomics.load(slots, slot)).toBe(0);
});

test("every engine of the process shows the same lease slots", async () => {
  const [first, second] = [await opened(), await opened()];
  expect(first.engine.leases()).toBe(second.engine.leases());
});

test("a directory gives its log back, to a node with the same name and a new incarnation", async () => {
  const dataDir = directory();
  const first = await open({ dataDir });
  await first.engine.createGroup(5, bytes("kept"));
  const texts = Array.from({ length: 50 }, (_, at) => bytes(`command-${at}.`));
  for (const [at, text] of texts.entries()) {
    const command = record(5, at + 1, text);
    first.engine.submit(command, command.length, 0);
  }
  const entriesOf = (from: Collector) =>
    texts.map((text) => from.of(EVENT_TYPE.entry).findIndex((entry) => carries(entry, text)));
  await first.collector.until(() => entriesOf(first.collector).every((at) => at >= 0));
  const before = first.engine.identity();
  await first.engine.close();

  const second = await opened({ dataDir });
  const after = second.engine.identity();
  expect(after).toEqual({ ...before, incarnation: before.incarnation + 1 });
  const [stored, ...others] = second.engine.storedGroups();
  expect(others).toEqual([]);
  expect(stored?.group).toBe(5);
  expect(new TextDecoder().decode(stored?.descriptor)).toBe("kept");
  await second.engine.openGroup(5);
  await second.collector.until(() => entriesOf(second.collector).every((at) => at >= 0));
  const order = entriesOf(second.collector);
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

test("a directory that is open is refused, and free again after close", async () => {
  const dataDir = directory();
  const { engine } = await opened({ dataDir });
  const refused = await openEngine({ ...OPTIONS, dataDir }, () => {}).catch((error) => error);
  expect(refused).toBeInstanceOf(RaftKVError);
  expect(refused.code).toBe("DATA_DIR_LOCKED");
  expect(refused.message).toContain(String(process.pid));
  await engine.close();
  await (await open({ dataDir })).engine.close();
});

test("while JavaScript holds, nothing is pushed, and pulling gives all of it once", async () => {
  const { engine, collector } = await opened();
  await engine.createGroup(9, bytes("d"));
  await collector.until(() => collector.of(EVENT_TYPE.leaderReady).length > 0);
  const pushed = collector.events.length;
  engine.hold();
  const texts = Array.from({ length: 200 }, (_, at) => bytes(`held-${at}.`));
  for (const [at, text] of texts.entries()) {
    const command = record(9, at + 1, text);
    engine.submit(command, command.length, 0);
    if (at % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const missing = () =>
    texts.filter((text) => !collector.of(EVENT_TYPE.entry).some((e) => carries(e, text)));
  const pulled = new Collector();
  while (texts.some((text) => !pulled.events.some((event) => carries(event, text)))) {
    const next = engine.drain(1024);
    if (next === null) engine.hold();
    else pulled.take(next);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(collector.events.length).toBe(pushed);
  expect(missing()).toHaveLength(texts.length);
  expect(engine.drain(1024)).toBeNull();
  const last = record(9, 1000, bytes("pushed again"));
  engine.submit(last, last.length, 0);
  await collector.until(() => collector.events.some((e) => carries(e, bytes("pushed again"))));
});

test("no event is lost or doubled between pushing, pulling and holding", async () => {
  const seen: number[] = [];
  let engine: NativeEngine | undefined;
  let done: () => void = () => {};
  const count = 3000;
  const finished = new Promise<void>((resolve) => {
    done = resolve;
  });
  let busy = false;
  const take = (buffer: Buffer | null | undefined) => {
    for (const [, number] of (buffer ?? Buffer.alloc(0)).toString("latin1").matchAll(/<(\d+)>/g)) {
      seen.push(Number(number));
    }
    if (seen.length >= count) done();
  };
  const pull = () => {
    const next = engine?.drain(512);
    if (next === null || next === undefined) {
      busy = false;
      return;
    }
    take(next);
    setImmediate(pull);
  };
  engine = await openEngine(OPTIONS, (buffer, more) => {
    expect(busy).toBe(false);
    take(buffer);
    if (!more && seen.length % 3 !== 0) return;
    // As a host that ran out of its slice does.
    if (!more) engine?.hold();
    busy = true;
    setImmediate(pull);
  });
  cleanups.push(() => engine?.close());
  await engine.createGroup(2, bytes("d"));
  for (let request = 1; request <= count; request++) {
    const command = record(2, request, bytes(`<${request}>`));
    engine.submit(command, command.length, 0);
    if (request % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await finished;
  expect(seen).toEqual(Array.from({ length: count }, (_, at) => at + 1));
});

test("close is idempotent, and a closed engine says so", async () => {
  const { engine } = await opened();
  await engine.createGroup(4, bytes("d"));
  await Promise.all([engine.close(), engine.close()]);
  await engine.close();
  const command = record(4, 1, bytes("late"));
  expect(() => engine.submit(command, command.length, 0)).toThrow(
    expect.objectContaining({ code: "CLOSED", action: "reopen" }),
  );
  expect(engine.drain(1024)).toBeNull();
  await expect(engine.openGroup(4)).rejects.toMatchObject({ code: "CLOSED" });
  engine.ref();
  engine.unref();
});

/** Values of every kind, none of which is a whole number below 2^31, bytes, or a function. */
const NONSENSE: readonly unknown[] = [
  ...[undefined, null, "text", true, {}, [], 1.5, -1, Number.NaN, Number.POSITIVE_INFINITY],
  ...[2 ** 53, 1n, Symbol("s"), new Map(), new Float64Array(2), new ArrayBuffer(8), new Date()],
];

type Method = (...parameters: unknown[]) => unknown;

test("arguments of every wrong kind are errors, never a crash", async () => {
  const { engine } = await opened();
  await engine.createGroup(1, bytes("d"));
  const ok = new Uint8Array(24);
  /** Good arguments of each method; each is replaced by nonsense in turn. */
  const calls: Record<string, readonly unknown[]> = {
    createGroup: [11, ok],
    openGroup: [11],
    closeGroup: [11],
    removeGroup: [11],
    submit: [ok, 24, 0],
    drain: [1024],
    setRoutes: [1, "kv", new Uint32Array([0]), new Uint32Array([1])],
    removeRoutes: [1],
    hashKey: [1, ok],
    findGroup: [1, 0],
    hostReady: [1, 1],
    snapshotPiece: [1, 1, ok],
    finishSnapshot: [1, 1],
    failSnapshot: [1, 1, "reason"],
  };
  for (const [name, good] of Object.entries(calls)) {
    for (const position of good.keys()) {
      for (const bad of NONSENSE) {
        if (typeof good[position] === typeof bad && typeof bad === "string") continue;
        const call = engine[name as keyof NativeEngine] as Method;
        const outcome = await settle(() => call.apply(engine, good.with(position, bad)));
        expect(outcome, `${name}, argument ${position}: ${String(bad)}`).toBeInstanceOf(
          RaftKVError,
        );
        expect(ERROR_CODES).toContain((outcome as RaftKVError).code);
        expect((outcome as RaftKVError).code).toBe("INVALID_ARGUMENT");
      }
    }
  }
});

async function settle(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return error;
  }
}

test("options of every wrong kind are errors, never a crash", async () => {
  for (const name of Object.keys(OPTIONS)) {
    for (const bad of NONSENSE) {
      if (typeof bad === "string") continue;
      const options = { ...OPTIONS, [name]: bad } as unknown as typeof OPTIONS;
      // null stands for ":memory:" beneath the typed face, and is refused above it.
      if (name === "dataDir" && bad === null) continue;
      const outcome = await settle(() => openEngine(options, () => {}));
      expect(outcome, `${name}: ${String(bad)}`).toBeInstanceOf(RaftKVError);
    }
  }
  const noFunction = 1 as unknown as () => void;
  expect(await settle(() => openEngine(OPTIONS, noFunction))).toBeInstanceOf(RaftKVError);
});

test("malformed records are refused as a whole", async () => {
  const { engine } = await opened();
  await engine.createGroup(6, bytes("d"));
  const good = record(6, 1, bytes("argument"));
  const spoiled: [string, (words: Uint32Array) => void][] = [
    ["length 0", (words) => words.fill(0, 0, 1)],
    ["a length that is no multiple of 4", (words) => words.fill(29, 0, 1)],
    ["a length beyond the buffer", (words) => words.fill(4096, 0, 1)],
    ["a key longer than the record", (words) => words.fill(0x00ff_ffff, 5, 6)],
  ];
  for (const [what, spoil] of spoiled) {
    const copy = good.slice();
    spoil(new Uint32Array(copy.buffer));
    expect(() => engine.submit(copy, copy.length, 0), what).toThrow(RaftKVError);
  }
  for (const length of [1, 4, 23]) {
    expect(() => engine.submit(good, length, 0), `${length} bytes`).toThrow(RaftKVError);
  }
});
