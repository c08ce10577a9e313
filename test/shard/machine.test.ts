import { describe, expect, it, vi } from "vitest";
import { decodeValue, encodeValue } from "../../ts/codec/index.ts";
import { type EncodedResult, PARKED, Refusal } from "../../ts/machine/machine.ts";
import { findEntry } from "../../ts/shard/entry.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import {
  type KeysReply,
  type StatusReply,
  shardCommand,
  shardRead,
} from "../../ts/shard/requests.ts";
import { commandOf, digestOf, END, fingerprintOf, Group, hashOf, plain } from "./harness.ts";

const ALL = { start: 0, end: END };

type Set = { set: unknown } | "unset";
const KV: ValuePerKey<unknown, string, Set, "ok"> = {
  command: (_previous, _size, _key, arg) =>
    arg === "unset" ? ["ok", 5, undefined, 0] : ["ok", 5, arg.set, 1],
  query: (value) => [value, 1],
};

function returning(make: () => unknown): ValuePerKey {
  return { ...(KV as ValuePerKey), command: () => make() as [unknown, number, unknown, number] };
}

function hostile(): object {
  const getPrototypeOf = () => {
    throw new Error("no");
  };
  return new Proxy({}, { getPrototypeOf });
}

function refusalOf(answered: unknown): Refusal {
  expect(answered).toBeInstanceOf(Refusal);
  return answered as Refusal;
}

describe("a command on one key", () => {
  it("sets, replaces and removes, and counts keys, size and load", () => {
    const group = new Group(1, KV as ValuePerKey, ALL);
    expect(group.run("a", { set: 1 })).toBe("ok");
    expect(group.run("a", { set: { deep: [1] } })).toBe("ok");
    expect(group.run("b", { set: null })).toBe("ok");
    expect(group.get("a")).toEqual({ deep: [1] });
    expect(group.get("b")).toBe(null);
    expect(group.machine.statistics()).toMatchObject({ keys: 2, size: 2, load: 15 });
    expect(group.run("a", "unset")).toBe("ok");
    expect(group.run("never", "unset")).toBe("ok");
    expect(group.get("a")).toBeUndefined();
    expect(group.keyIndex.size).toBe(1);
    expect(group.machine.statistics()).toMatchObject({ keys: 1, size: 1 });
    expect(group.machine.takeLoad()).toBe(25);
    expect(group.machine.takeLoad()).toBe(0);
  });

  it("gives the callback what the key has, and the entry's time and chance", () => {
    const seen: unknown[][] = [];
    const module: ValuePerKey = {
      command: (previous, size, key, arg, { now, random }) => {
        seen.push([previous, size, key, arg, now]);
        return [random(), 0, "value", 7];
      },
      query: () => [0, 0],
    };
    const one = new Group(1, module, ALL);
    const two = new Group(1, module, ALL);
    const keys = ["text", 5, 5n, true, new Uint8Array([1, 2]), ["nested", [1]]];
    for (const key of keys) {
      expect(one.run(key, { x: key })).toBe(two.run(key, { x: key }));
      expect(one.run(key, 2)).toBe(two.run(key, 2));
    }
    expect(seen[0]).toEqual([undefined, 0, "text", { x: "text" }, 1_001]);
    expect(seen[2]).toEqual(["value", 7, "text", 2, 1_002]);
    expect(one.machine.statistics().keys).toBe(keys.length);
    expect(digestOf(one.machine)).toBe(digestOf(two.machine));
  });

  it("keeps keys apart that differ in type or value only", () => {
    const group = new Group(1, KV as ValuePerKey, ALL);
    const keys = ["5", 5, 5n, "true", true, ["5"], [5], new Uint8Array([5]), [["5"]]];
    for (const key of keys) group.run(key, { set: String(typeof key) }, 77);
    expect(group.machine.statistics().keys).toBe(keys.length);
    const page = group.read(shardRead.keys(0, 100)) as KeysReply;
    expect(page.keys).toHaveLength(keys.length);
    expect(page.keys).toEqual(expect.arrayContaining(keys as never[]));
  });

  it("shares no object with callers or between key and value", () => {
    const kept: unknown[] = [];
    const module: ValuePerKey = {
      command: (previous, _size, key) => {
        kept.push(key);
        const next = previous ?? { inner: [1] };
        return [next, 0, next, 1];
      },
      query: (value) => [value, 1],
    };
    const group = new Group(1, module, ALL);
    const key = new Uint8Array([1]);
    const first = group.run(key, 1) as EncodedResult;
    (kept[0] as Uint8Array)[0] = 2;
    (decodeValue(first.bytes) as { inner: number[] }).inner.push(2);
    expect((group.read(shardRead.keys(0, 9)) as KeysReply).keys).toEqual([key]);
    expect(plain(group.run(key, 1))).toEqual({ inner: [1] });
    const entry = [...group.keyIndex.values()][0]!;
    const answered = group.machine.answer(entry, 1) as { inner: number[] };
    answered.inner.push(3);
    expect(entry.value).toEqual({ inner: [1] });
  });

  it.each([
    ["nothing", () => undefined, "must return [ret, load, nextValue, nextSize]"],
    ["a short tuple", () => ["ok", 1, 2], "not an array of 3"],
    ["a long tuple", () => ["ok", 1, 2, 3, 4], "not an array of 5"],
    ["an object", () => ({ 0: 1, length: 4 }), "not an object"],
    ["a promise", () => Promise.reject(new Error("unheard")), "not a promise"],
    ["a negative load", () => ["ok", -1, 1, 1], "load must be a finite number"],
    ["a load that is no number", () => ["ok", Number.NaN, 1, 1], "load must be a finite number"],
    ["a text as load", () => ["ok", "1", 1, 1], 'not the string "1"'],
    [
      "an endless size",
      () => ["ok", 1, 1, Number.POSITIVE_INFINITY],
      "nextSize must be a finite number",
    ],
    ["no size", () => ["ok", 1, 1, undefined], "nextSize must be a finite number"],
    [
      "a promise as size",
      () => ["ok", 1, 1, Promise.reject(1)],
      "nextSize must be a finite number",
    ],
    ["a function as value", () => ["ok", 1, () => 1, 1], "nextValue cannot be a function"],
    ["a symbol as value", () => ["ok", 1, Symbol("s"), 1], "nextValue cannot be"],
    ["a promise as value", () => ["ok", 1, Promise.reject(1), 1], "nextValue cannot be a promise"],
    ["a function in a value", () => ["ok", 1, { f: () => 1 }, 1], "nextValue cannot be stored"],
    ["a function as ret", () => [() => 1, 1, 1, 1], "ret cannot be a function"],
    ["a symbol as ret", () => [Symbol("s"), 1, 1, 1], "ret cannot be"],
    ["a promise as ret", () => [Promise.reject(1), 1, 1, 1], "ret cannot be a promise"],
    ["a function in ret", () => [{ f: () => 1 }, 1, 1, 1], "ret cannot be sent"],
  ])("refuses %s and changes nothing", async (_name, make, message) => {
    const unheard = vi.fn();
    process.on("unhandledRejection", unheard);
    const group = new Group(1, KV as ValuePerKey, ALL);
    group.run("k", { set: "before" });
    const failing = new Group(1, returning(make), ALL);
    failing.load(group.snapshot(), [], 5, 5_000);
    const digest = digestOf(failing.machine);
    const refusal = refusalOf(failing.run("k", 1));
    expect(refusal.code).toBe("COMMAND_FAILED");
    expect(refusal.message).toContain('command of keyspace "ks" on key "k": ');
    expect(refusal.message).toContain(message);
    expect(digestOf(failing.machine)).toBe(digest);
    expect(failing.get("k")).toBe("before");
    await new Promise((resolve) => setTimeout(resolve, 1));
    process.off("unhandledRejection", unheard);
    expect(unheard).not.toHaveBeenCalled();
  });

  it.each([
    ["an error", () => new Error("told"), "told"],
    ["an error without a message", () => new RangeError(""), "RangeError"],
    ["a text", () => "text", "text"],
    ["undefined", () => undefined, "threw undefined"],
    ["null", () => null, "threw null"],
    ["a symbol", () => Symbol("s"), "threw"],
    ["a bare object", () => Object.create(null), "threw an object"],
    ["an object without a text", () => ({ toString: () => ({}) }), "threw an object"],
    ["a hostile proxy", () => hostile(), "cannot be shown"],
  ])("refuses when the callback throws %s", (_name, make, message) => {
    const module: ValuePerKey = {
      ...(KV as ValuePerKey),
      command: () => {
        throw make();
      },
    };
    const refusal = refusalOf(new Group(1, module, ALL).run("k", 1));
    expect(refusal.code).toBe("COMMAND_FAILED");
    expect(refusal.message).toContain(message);
  });

  it("refuses chance after the command has ended", () => {
    let late: (() => number) | undefined;
    const module: ValuePerKey = {
      ...(KV as ValuePerKey),
      command: (_previous, _size, _key, _arg, { random }) => {
        late ??= random;
        return [random(), 0, 1, 1];
      },
    };
    new Group(1, module, ALL).run("k", 1);
    expect(() => late?.()).toThrow(/after the command had ended/);
  });

  it("refuses bytes that it cannot read, and goes on", () => {
    const group = new Group(1, KV as ValuePerKey, ALL);
    const command = commandOf({
      ...{ node: 1, incarnation: 1, request: 1, batch: 1, acknowledged: 0, retry: false },
      key: "k",
      hash: 1,
      argument: { set: 1 },
    });
    const context = { index: 1, now: 1, random: () => 0, settle: () => undefined };
    const bytes = command.bytes.map((byte, at) => (at >= command.argumentStart ? 0xff : byte));
    const broken = group.machine.apply({ ...command, bytes }, context);
    expect(refusalOf(broken).code).toBe("REJECTED");
    expect(group.machine.apply(command, context)).toBe("ok");
  });

  it("says where a key is that it does not own", () => {
    const group = new Group(1, KV as ValuePerKey, { start: 100, end: 200 });
    expect(refusalOf(group.run("k", { set: 1 }, 99)).code).toBe("BELOW_RANGE");
    expect(refusalOf(group.run("k", { set: 1 }, 200)).code).toBe("ABOVE_RANGE");
    expect(group.run("k", { set: 1 }, 199)).toBe("ok");
    const empty = new Group(2, KV as ValuePerKey, null);
    expect(refusalOf(empty.run("k", { set: 1 }, 0)).code).toBe("NOT_YET");
    expect(empty.machine.owns(0)).toBe(false);
  });
});

describe("the observer", () => {
  it("is told what took effect, and its faults stay its own", () => {
    const events: unknown[][] = [];
    const failures: unknown[] = [];
    const observer = {
      committed: (...event: unknown[]) => {
        events.push(event);
        if (event[2] === "bad") throw new Error("hook");
      },
      hookFailed: (error: unknown) => failures.push(error),
      changed: vi.fn(),
    };
    const group = new Group(1, KV as ValuePerKey, ALL, new Map(), observer);
    group.run("k", { set: 1 });
    group.run("k", "unset");
    expect(group.run("bad", { set: 2 })).toBe("ok");
    refusalOf(group.run("k", null));
    expect(events).toEqual([
      [undefined, 0, "k", { set: 1 }, "ok", 1, 1],
      [1, 1, "k", "unset", "ok", undefined, 0],
      [undefined, 0, "bad", { set: 2 }, "ok", 2, 1],
    ]);
    expect(failures).toEqual([new Error("hook")]);
    expect(observer.changed).toHaveBeenCalledTimes(3);
    group.machine.observer = null;
    group.run("k", { set: 1 });
    expect(events).toHaveLength(3);
  });
});

describe("a command on all keys", () => {
  it("runs on every owned key, leaves those that fail, and shares no argument", () => {
    const module: ValuePerKey<unknown, string, { list: number[] } | number> = {
      command: (previous, _size, key, arg) => {
        if (typeof arg === "number") return ["set", 1, arg, arg];
        if (key === "k3") throw new Error("not this one");
        if (key === "k4") return ["gone", 1, undefined, 0];
        return [previous, 1, arg, 10];
      },
      query: (value) => [value, 1],
    };
    const events: unknown[][] = [];
    const observer = {
      committed: (...event: unknown[]) => events.push(event),
      hookFailed: () => undefined,
      changed: () => undefined,
    };
    const group = new Group(1, module as ValuePerKey, ALL);
    for (let number = 1; number <= 5; number++) group.run(`k${number}`, number);
    group.machine.observer = observer;
    const reply = group.tell(shardCommand.all({ list: [1] }));
    expect(reply).toEqual({ type: "applied", keys: 4, failed: 1 });
    expect(group.get("k1")).toEqual({ list: [1] });
    expect(group.get("k1")).not.toBe(group.get("k2"));
    expect(group.get("k3")).toBe(3);
    expect(group.get("k4")).toBeUndefined();
    expect(group.machine.statistics()).toMatchObject({ keys: 4, size: 33 });
    expect(events).toHaveLength(4);
    expect(events.every((event) => event[4] === undefined)).toBe(true);
  });
});

describe("queries", () => {
  const index = new Map();
  const group = new Group(1, KV as ValuePerKey, ALL, index);
  group.run("k", { set: "v" });
  const entry = findEntry(index, "k")!;

  it("answer from the entry and count load", () => {
    group.machine.takeLoad();
    expect(group.machine.answer(entry, "get")).toBe("v");
    group.machine.loadPerQueryToMissingKey = 3;
    expect(group.machine.answerMissing()).toBeUndefined();
    expect(group.machine.takeLoad()).toBe(4);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("told");
      },
      "told",
    ],
    ["returns a promise", () => Promise.reject(1), "not a promise"],
    ["returns a promise as ret", () => [Promise.reject(1), 1], "promise"],
    ["returns a short tuple", () => [1], "not an array of 1"],
    ["returns a bad load", () => [1, -1], "load must be"],
    ["returns a function", () => [() => 1, 1], "function"],
  ])("refuse when the callback %s", (_name, query, message) => {
    const module = { ...KV, query } as unknown as ValuePerKey;
    const keys = new Map();
    const other = new Group(1, module, ALL, keys);
    other.run("k", { set: "v" });
    const refusal = refusalOf(other.machine.answer(findEntry(keys, "k")!, 1));
    expect(refusal.code).toBe("QUERY_FAILED");
    expect(refusal.message).toContain('query of keyspace "ks" on key "k": ');
    expect(refusal.message.toLowerCase()).toContain(message);
  });

  it("are passed on by hash", () => {
    const answer = (key: string) =>
      group.machine.query(
        encodeValue(shardRead.answer(key, hashOf(key), fingerprintOf(key), "get")),
      );
    expect(answer("k")).toBe("v");
    expect(answer("other")).toBeUndefined();
  });

  it("refuse what is no read", () => {
    for (const request of [1, null, { type: "nonsense" }, shardRead.chunk(3, 0, 1)]) {
      expect(refusalOf(group.machine.query(encodeValue(request))).code).toBe("REJECTED");
    }
    expect(refusalOf(group.machine.query(new Uint8Array([255]))).code).toBe("REJECTED");
    expect(refusalOf(group.machine.query(new Uint8Array(0))).code).toBe("REJECTED");
    expect(refusalOf(group.machine.query(encodeValue(shardRead.keys(-1, 1)))).code).toBe(
      "BELOW_RANGE",
    );
  });

  it("give every key once, page by page", () => {
    const many = new Group(1, KV as ValuePerKey, ALL);
    const keys = Array.from({ length: 500 }, (_, number) => `key-${number}`);
    // Some keys share a hash: a page never ends between them.
    keys.forEach((key, number) => {
      many.run(key, { set: 1 }, number - (number % 7));
    });
    const found: unknown[] = [];
    for (let from = 0; from < END; ) {
      const page = many.read(shardRead.keys(from, 3)) as KeysReply;
      found.push(...page.keys);
      expect(page.next).toBeGreaterThan(from);
      from = page.next;
    }
    expect(found).toHaveLength(keys.length);
    expect(new Set(found)).toEqual(new Set(keys));
  });
});

describe("a shard that is about to own a range", () => {
  const T = 5;
  const half = END / 2;

  function awaiting(): Group {
    const group = new Group(2, KV as ValuePerKey, null);
    group.tell(shardCommand.expect(T, { start: half, end: END }, 1));
    return group;
  }

  const sent = (request: number, argument: unknown = { set: request }) => ({
    ...{ node: 1, incarnation: 1, request, batch: request, acknowledged: 0, retry: false },
    key: `k${request}`,
    hash: half + request,
    argument,
  });
  const parkedOf = (group: Group) => (group.read(shardRead.status()) as StatusReply).parked;

  it("parks up to a number of commands, each once, and then turns all away", () => {
    const group = awaiting();
    for (let request = 1; request <= 10_000; request++) {
      expect(group.commit(sent(request), 1_000)).toBe(PARKED);
    }
    const again = { ...sent(1), batch: 10_001, retry: true };
    expect(group.commit(again, 1_000)).toBe(PARKED);
    expect(parkedOf(group)).toBe(10_000);
    expect(refusalOf(group.commit(sent(10_002), 1_000)).code).toBe("NOT_YET");
    expect(group.machine.refusalFor(half).code).toBe("NOT_YET");
  });

  it("parks up to a number of bytes", () => {
    const group = awaiting();
    const large = { set: new Uint8Array(1024 * 1024) };
    const answers = [1, 2, 3, 4, 5].map((request) => group.commit(sent(request, large), 1_000));
    expect(answers.slice(0, 3)).toEqual([PARKED, PARKED, PARKED]);
    expect(refusalOf(answers[4]).code).toBe("NOT_YET");
    // A later, smaller one must not overtake one that was turned away.
    expect(refusalOf(group.commit(sent(6), 1_000)).code).toBe("NOT_YET");
  });

  it("turns all away once the oldest has waited for too long", () => {
    const group = awaiting();
    group.commit(sent(1), 1_000);
    group.commit(sent(2), 2_900);
    expect(group.settled).toEqual([]);
    const late = group.commit(sent(3), 3_000);
    expect(group.settled.map(({ request }) => request)).toEqual([1, 2]);
    for (const { result } of group.settled) expect(refusalOf(result).code).toBe("NOT_YET");
    expect(refusalOf(late).code).toBe("NOT_YET");
    expect(parkedOf(group)).toBe(0);
  });

  it("keeps both over a snapshot", () => {
    const group = awaiting();
    group.commit(sent(1), 1_000);
    const copy = group.clone();
    expect(parkedOf(copy)).toBe(1);
    group.commit(sent(2), 9_000);
    expect(refusalOf(group.clone().commit(sent(3), 9_001)).code).toBe("NOT_YET");
  });
});
