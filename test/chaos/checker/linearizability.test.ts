/** The checker itself: known histories of both kinds, and every order of small ones. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { seeded } from "../../node/support/random.ts";
import { judge } from "./linearizability.ts";
import { counter, type Model, register } from "./models.ts";
import { type Action, isUnknown, type Operation } from "./operation.ts";

const NEVER = Number.POSITIVE_INFINITY;
const get: Action = { name: "get" };
const add: Action = { name: "add" };
const set = (value: string | null): Action => ({ name: "set", value });
const swap = (expected: string | null, value: string): Action => ({
  name: "compareAndSet",
  expected,
  value,
});

function done(call: number, end: number, action: Action, result: unknown = "ok"): Operation {
  return { process: "p", call, end, action, result };
}

function lost(call: number, action: Action): Operation {
  return { process: "p", call, end: NEVER, action, result: undefined };
}

function isLinearizable<State extends string | number | null>(
  model: Model<State>,
  operations: readonly Operation[],
): boolean {
  const verdict = judge(model, operations);
  if (!verdict.linearizable) expect(verdict.fault).not.toContain("undecided");
  return verdict.linearizable;
}

describe("a register", () => {
  test.each<[string, boolean, Operation[]]>([
    ["nothing", true, []],
    ["a read of what was never set", true, [done(0, 1, get, null)]],
    ["a read after a set", true, [done(0, 1, set("a")), done(2, 3, get, "a")]],
    ["a stale read", false, [done(0, 1, set("a")), done(2, 3, get, null)]],
    ["a read before the set that gives it", false, [done(0, 1, get, "a"), done(2, 3, set("a"))]],
    [
      "reads that overlap a set, in one order",
      true,
      [done(0, 9, set("a")), done(1, 2, get, null), done(3, 4, get, "a")],
    ],
    [
      "reads that overlap a set and go back",
      false,
      [done(0, 9, set("a")), done(1, 2, get, "a"), done(3, 4, get, null)],
    ],
    [
      "two readers that see two sets in different orders",
      false,
      [
        ...[done(0, 20, set("a")), done(0, 20, set("b"))],
        ...[done(1, 2, get, "a"), done(3, 4, get, "b"), done(5, 6, get, "a")],
      ],
    ],
    [
      "one compare-and-set of two wins",
      true,
      [done(0, 5, swap(null, "a"), null), done(0, 5, swap(null, "b"), "a"), done(6, 7, get, "a")],
    ],
    [
      "two compare-and-sets win",
      false,
      [done(0, 5, swap(null, "a"), null), done(0, 5, swap(null, "b"), null)],
    ],
    ["an unknown set that is seen later", true, [lost(0, set("a")), done(5, 6, get, "a")]],
    ["an unknown set that is never seen", true, [lost(0, set("a")), done(5, 6, get, null)]],
    [
      "an unknown set that comes late",
      true,
      [lost(0, set("a")), done(1, 2, get, null), done(5, 6, get, "a")],
    ],
    [
      "an unknown set that comes twice",
      false,
      [
        ...[lost(0, set("a")), done(1, 2, get, "a"), done(3, 4, set("b"))],
        ...[done(5, 6, get, "b"), done(7, 8, get, "a")],
      ],
    ],
    ["an unknown set before its call", false, [done(0, 1, get, "a"), lost(2, set("a"))]],
    [
      "an unknown removal",
      true,
      [done(0, 1, set("a")), lost(0, set(null)), done(2, 3, get, "a"), done(4, 5, get, null)],
    ],
    [
      "an unknown set that only an unknown compare-and-set can have seen",
      true,
      [lost(0, set("a")), lost(1, swap("a", "b")), done(2, 3, get, "b")],
    ],
    [
      "an acknowledged set that is lost",
      false,
      [done(0, 1, set("a")), done(2, 3, set("b")), done(4, 5, get, "a")],
    ],
  ])("%s: %s", (_, expected, operations) => {
    expect(isLinearizable(register, operations)).toBe(expected);
  });
});

describe("a counter", () => {
  test.each<[string, boolean, Operation[]]>([
    ["counts", true, [done(0, 1, add, 1), done(2, 3, add, 2), done(4, 5, get, 2)]],
    ["an addition that is lost", false, [done(0, 1, add, 1), done(2, 3, add, 1)]],
    ["an addition that counts twice", false, [done(0, 1, add, 1), done(2, 3, get, 2)]],
    ["two that overlap", true, [done(0, 5, add, 2), done(0, 5, add, 1)]],
    ["two that answer the same", false, [done(0, 5, add, 1), done(0, 5, add, 1)]],
    ["an unknown one that counted", true, [lost(0, add), done(1, 2, add, 2)]],
    ["an unknown one that did not", true, [lost(0, add), done(1, 2, add, 1)]],
    [
      "an unknown one that counted late",
      true,
      [lost(0, add), done(1, 2, add, 1), done(3, 4, get, 2)],
    ],
    ["an unknown one that counted twice", false, [lost(0, add), done(1, 2, add, 3)]],
    ["one that counted before its call", false, [done(0, 1, add, 2), lost(2, add)]],
  ])("%s: %s", (_, expected, operations) => {
    expect(isLinearizable(counter, operations)).toBe(expected);
  });

  test("many unknown ones do not make the search explode", () => {
    const operations = Array.from({ length: 400 }, (_, at) =>
      at % 4 === 0 ? lost(at, add) : done(at, at + 7, add, (at - (at % 4)) * 0.75 + (at % 4)),
    );
    const verdict = judge(counter, operations);
    expect(verdict.linearizable).toBe(true);
    expect(isLinearizable(counter, [...operations, done(900, 901, get, 299)])).toBe(false);
    expect(isLinearizable(counter, [...operations, done(900, 901, get, 401)])).toBe(false);
    expect(isLinearizable(counter, [...operations, done(900, 901, get, 333)])).toBe(true);
  });
});

/** Tries every order of every choice of the unknown operations. */
function bruteForce<State extends string | number | null>(
  model: Model<State>,
  operations: readonly Operation[],
): boolean {
  const explains = (state: State, rest: readonly Operation[]): boolean =>
    rest.every(isUnknown) ||
    rest.some((one) => {
      if (rest.some((other) => other.end < one.call)) return false;
      const next = model.step(state, one);
      const others = rest.filter((other) => other !== one);
      return next !== undefined && explains(next, others);
    });
  return explains(model.first, operations);
}

/** A history of a real register or counter, with operations that were lost on their way. */
function played<State extends string | number | null>(
  model: Model<State>,
  actions: readonly Action[],
  random: () => number,
): Operation[] {
  const planned = actions.map((action, at) => {
    const call = Math.floor(random() * 20);
    const moment = call + random() * 10;
    const end = Math.ceil(moment + random() * 5);
    const fate = random() < 0.3 ? (random() < 0.5 ? "lost" : "never") : "known";
    return { call, moment, end, fate, action: unique(action, at) };
  });
  planned.sort((a, b) => a.moment - b.moment);
  let state = model.first;
  return planned.map(({ call, end, fate, action }) => {
    const before = state;
    if (fate !== "never") state = model.step(state, lost(call, action)) as State;
    if (fate !== "known") return lost(call, action);
    const result = action.name === "compareAndSet" ? before : action.name === "set" ? "ok" : state;
    return done(call, end, action, result);
  });
}

function unique(action: Action, at: number): Action {
  if (action.name === "compareAndSet") return { ...action, value: `${action.value}${at}` };
  return action.name === "set" && action.value !== null
    ? { name: "set", value: `${action.value}${at}` }
    : action;
}

const value = fc.constantFrom("a", "b");
const expectedValue = fc.constantFrom(null, "a0", "a1", "b1", "b2");
const registerActions = fc.array(
  fc.oneof(
    fc.constant(get),
    value.map(set),
    fc.constant(set(null)),
    fc.tuple(expectedValue, value).map(([expected, next]) => swap(expected, next)),
  ),
  { maxLength: 7 },
);
const counterActions = fc.array(fc.constantFrom(add, add, get), { maxLength: 7 });

/** Changes one answer, or one time. */
function spoilt(operations: Operation[], random: () => number): Operation[] {
  const at = Math.floor(random() * operations.length);
  const other = operations[Math.floor(random() * operations.length)];
  return operations.map((one, position) =>
    position !== at || isUnknown(one)
      ? one
      : random() < 0.5
        ? { ...one, result: other?.result ?? one.result }
        : { ...one, call: one.call + 4, end: one.end + 4 },
  );
}

property.prop([registerActions, fc.integer()])(
  "agrees with every order of registers",
  (all, seed) => {
    const random = seeded(seed);
    const operations = played(register, all, random);
    expect(isLinearizable(register, operations)).toBe(true);
    const changed = spoilt(operations, random);
    expect(isLinearizable(register, changed)).toBe(bruteForce(register, changed));
  },
);

property.prop([counterActions, fc.integer()])(
  "agrees with every order of counters",
  (all, seed) => {
    const random = seeded(seed);
    const operations = played(counter, all, random);
    expect(isLinearizable(counter, operations)).toBe(true);
    const changed = spoilt(operations, random);
    expect(isLinearizable(counter, changed)).toBe(bruteForce(counter, changed));
  },
);
