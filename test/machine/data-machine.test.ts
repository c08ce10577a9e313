import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../ts/codec/index.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import type { DataModule } from "../../ts/machine/data-module.ts";
import {
  type Command,
  EncodedResult,
  type EntryContext,
  Refusal,
  type Result,
} from "../../ts/machine/machine.ts";

// What a program without types may do: modules here are deliberately wrong.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = DataModule<any, any, any>;

const context: EntryContext = {
  index: 1,
  now: 0,
  random: () => 0,
  settle: () => undefined,
};

function apply(machine: DataMachine<unknown>, argument: unknown): Result {
  const encoded = encodeValue(argument);
  const bytes = new Uint8Array(encoded.length + 7);
  bytes.set(encoded, 3);
  const origin = { node: 1, incarnation: 1, request: 1, hash: 0 };
  const command: Command = { ...origin, fingerprint: 0, bytes, keyStart: 3, argumentStart: 3 };
  return machine.apply(command, context);
}

function plain(result: Result): unknown {
  return result instanceof EncodedResult ? decodeValue(result.bytes) : result;
}

const COUNTS: DataModule<Map<string, number>, string, { count: number }, string, number> = {
  init: () => new Map(),
  command: (state, key) => {
    const count = (state.get(key) ?? 0) + 1;
    return [{ count }, new Map(state).set(key, count)];
  },
  query: (state, key) => state.get(key) ?? 0,
};

describe("a data module's machine", () => {
  test("carries out commands and answers queries", () => {
    const machine = new DataMachine(COUNTS);
    expect(plain(apply(machine as DataMachine<unknown>, "a"))).toEqual({ count: 1 });
    expect(plain(apply(machine as DataMachine<unknown>, "a"))).toEqual({ count: 2 });
    expect(machine.query(encodeValue("a"))).toBe(2);
    expect(machine.state).toEqual(new Map([["a", 2]]));
  });

  test.each<[string, unknown]>([
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    [
      "throws what is no error",
      () => {
        throw {
          toString: () => {
            throw 1;
          },
        };
      },
    ],
    ["returns nothing", () => undefined],
    ["returns too much", () => [1, 2, 3]],
    ["returns a promise", () => Promise.reject(new Error("nobody awaits this"))],
    ["returns a promise as result", (state: unknown) => [Promise.reject(new Error("x")), state]],
    ["returns a promise as state", () => [1, Promise.reject(new Error("x"))]],
    ["returns a function as result", (state: unknown) => [() => 1, state]],
    ["returns a symbol as result", (state: unknown) => [Symbol("s"), state]],
    ["returns a result that can't be sent", (state: unknown) => [{ f: () => 1 }, state]],
    ["returns a state that can't be stored", () => [1, { f: () => 1 }]],
  ])("a command that %s changes nothing", async (_name, command) => {
    const machine = new DataMachine<unknown>({ init: () => 7, command, query: () => 0 } as Loose);
    const result = apply(machine, "x");
    expect(result).toBeInstanceOf(Refusal);
    expect((result as Refusal).code).toBe("COMMAND_FAILED");
    expect(machine.state).toBe(7);
    // An unhandled rejection would show up here.
    await new Promise((resolve) => setImmediate(resolve));
  });

  test.each<[string, unknown]>([
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    ["returns a promise", () => Promise.reject(new Error("x"))],
    ["returns a function", () => () => 1],
  ])("a query that %s is refused", async (_name, query) => {
    const machine = new DataMachine<unknown>({
      init: () => 7,
      command: () => [0, 0],
      query,
    } as Loose);
    const result = machine.query(encodeValue(1));
    expect((result as Refusal).code).toBe("QUERY_FAILED");
    await new Promise((resolve) => setImmediate(resolve));
  });

  test("bytes that are no argument are refused", () => {
    const machine = new DataMachine(COUNTS);
    expect(machine.query(new Uint8Array([255, 255, 255]))).toBeInstanceOf(Refusal);
  });

  test("results share nothing with the state", () => {
    const list: number[] = [];
    const module: DataModule<number[], number, number[]> = {
      init: () => list,
      command: (state) => [state, state],
      query: (state) => state,
    };
    const machine = new DataMachine(module);
    (plain(machine.query(encodeValue(0))) as number[]).push(1);
    (plain(apply(machine as DataMachine<unknown>, 0)) as number[]).push(1);
    expect(machine.state).toEqual([]);
  });

  test("a snapshot is the state when it began, in bounded pieces", () => {
    const machine = new DataMachine(COUNTS);
    for (let at = 0; at < 500; at++) apply(machine as DataMachine<unknown>, `key ${at}`);
    const state = machine.state;
    const writer = machine.snapshot();
    const pieces: Uint8Array[] = [];
    for (let piece = writer.next(100); piece !== null; piece = writer.next(100)) {
      expect(piece.length).toBeLessThanOrEqual(100);
      pieces.push(piece);
      apply(machine as DataMachine<unknown>, "later");
    }
    writer.close();
    expect(pieces.length).toBeGreaterThan(10);
    const copy = new DataMachine(COUNTS);
    apply(copy as DataMachine<unknown>, "forgotten");
    copy.reset();
    for (const piece of pieces) {
      // The host reuses its buffer.
      const buffer = piece.slice();
      copy.restore(buffer);
      buffer.fill(0);
    }
    copy.restored();
    expect(copy.state).toEqual(state);
  });

  test("an observer sees what took effect, and its errors reach nobody else", () => {
    const machine = new DataMachine(COUNTS);
    const seen: unknown[] = [];
    const failures: unknown[] = [];
    machine.observer = {
      committed: (before, arg, ret, after) => seen.push([before.size, arg, ret, after.size]),
      answered: (_state, arg, ret) => {
        seen.push([arg, ret]);
        throw new Error("hook");
      },
      failed: (error) => failures.push(error),
    };
    apply(machine as DataMachine<unknown>, "a");
    expect(machine.query(encodeValue("a"))).toBe(1);
    expect(seen).toEqual([
      [0, "a", { count: 1 }, 1],
      ["a", 1],
    ]);
    expect(failures.length).toBe(1);
    machine.observer = null;
    apply(machine as DataMachine<unknown>, "a");
    expect(seen.length).toBe(2);
  });
});
