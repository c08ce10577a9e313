/** The check of modules: what it finds, that it names it, and that it says nothing of pure code. */
import { describe, expect, it } from "vitest";
import { RaftKVError, type ValuePerKey } from "../../ts/index.ts";
import {
  assertValuePerKey,
  checkValuePerKey,
  type ModuleExamples,
  type ModuleProblem,
} from "../../ts/testing/index.ts";
import { expectCode } from "../node/support/errors.ts";

type Outcome = readonly [unknown, number, unknown, number];
type Command = (previous: unknown, key: unknown, arg: unknown, random: () => number) => unknown;

/** A module of one command, of which each value is an array of what was done. */
function moduleOf(command: Command, query: (value: unknown) => unknown = (v) => [v, 1]) {
  const module: ValuePerKey = {
    command: (previous, _size, key, arg, context) =>
      command(previous, key, arg, context.random) as Outcome,
    query: (value) => query(value) as [unknown, number],
  };
  return module;
}

function problemsOf(
  module: ValuePerKey,
  examples: Partial<ModuleExamples> = {},
): readonly ModuleProblem[] {
  return checkValuePerKey(module, { commands: [1, 2], queries: [0], ...examples }).problems;
}

/** The one problem, with what its message has to say. */
function expectProblem(
  problems: readonly ModuleProblem[],
  kind: ModuleProblem["kind"],
  ...says: string[]
): void {
  expect(problems.map((problem) => problem.kind)).toContain(kind);
  const text = problems.map(({ message }) => message).join("\n");
  for (const part of says) expect(text).toContain(part);
}

describe("code that is not pure", () => {
  const impure: readonly (readonly [string, Command, string])[] = [
    ["draws", () => [0, 1, Math.random(), 1], "Math.random()"],
    ["draws coarsely", () => [Math.random() < 0.5, 1, 1, 1], "Math.random()"],
    ["reads the clock", () => [0, 1, Date.now(), 1], "Date.now()"],
    ["reads the day", () => [new Date().getUTCDate(), 1, 1, 1], "new Date()"],
    ["reads the text of the clock", () => [Date(), 1, 1, 1], "Date()"],
    ["measures", () => [performance.now(), 1, 1, 1], "performance.now()"],
    ["makes names", () => [0, 1, crypto.randomUUID(), 1], "crypto.randomUUID()"],
    ["reads the fine clock", () => [process.hrtime.bigint(), 1, 1, 1], "process.hrtime()"],
    ["has a size by chance", () => [0, 1, 1, Math.random()], "nextSize"],
    ["has a load by chance", () => [0, Math.random(), 1, 1], "load"],
    [
      "fails by chance",
      () => {
        throw new Error(`by chance ${Math.random()}`);
      },
      "the error",
    ],
  ];
  it.each(impure)("%s", (_name, command, said) => {
    expectProblem(problemsOf(moduleOf(command)), "impure", said, 'key "a"');
  });

  it("keeps a state of its own", () => {
    let calls = 0;
    const problems = problemsOf(moduleOf(() => [0, 1, ++calls, 1]));
    expectProblem(problems, "impure", "nextValue");
    expect(problems[0]?.message).not.toContain("It asked");
  });

  it("queries by chance, and under a load of chance", () => {
    const set: Command = (_previous, _key, arg) => [0, 1, arg, 1];
    expectProblem(problemsOf(moduleOf(set, () => [Math.random(), 1])), "impure", "query", "ret");
    expectProblem(problemsOf(moduleOf(set, () => [1, Math.random()])), "impure", "query", "load");
  });

  it("leaves clock and chance as they were", () => {
    const before = [Date, Math.random, performance.now, process.hrtime, crypto.randomUUID];
    problemsOf(
      moduleOf(() => {
        throw new Error("always");
      }),
    );
    const after = [Date, Math.random, performance.now, process.hrtime, crypto.randomUUID];
    expect(after).toEqual(before);
    expect(Object.hasOwn(crypto, "randomUUID")).toBe(false);
  });
});

describe("what must be left as it is", () => {
  it("the previous value, by a command that fails after it began to change it", () => {
    const module = moduleOf((previous) => {
      if (previous === undefined) return [0, 1, [1], 1];
      (previous as number[]).push(2);
      throw new Error("too late");
    });
    expectProblem(problemsOf(module), "changed", "changed the previous value and then failed");
  });

  it("the value, by a query", () => {
    const module = moduleOf(
      (_previous, _key, arg) => [0, 1, [arg], 1],
      (value) => [(value as unknown[]).push(0), 1],
    );
    const problems = problemsOf(module);
    expectProblem(problems, "changed", "query", "changed the value");
    expect(problems.map(({ kind }) => kind)).toEqual(["changed"]);
  });

  it("a key that is an array", () => {
    const module = moduleOf((_previous, key) => [0, 1, (key as unknown[]).push("more"), 1]);
    expectProblem(problemsOf(module, { keys: [["a"]] }), "changed", "changed its key");
  });

  it("the previous value, where somebody wants to hear of it", () => {
    const module = moduleOf((previous = [], _key, arg) => {
      (previous as unknown[]).push(arg);
      return [0, 1, previous, 1];
    });
    expect(problemsOf(module)).toEqual([]);
    expectProblem(problemsOf(module, { inPlace: "reported" }), "changed", "in place");
  });
});

describe("what cannot be copied", () => {
  class Account {
    readonly owner = "me";
    balance = 0;
  }
  const unclonable: readonly (readonly [string, unknown, string])[] = [
    ["a function", () => 0, "nextValue is a function"],
    ["a part that is a function", { done: [{ call: () => 0 }] }, "nextValue.done[0].call is"],
    [
      "a function far inside",
      Array.from({ length: 99 }, (_, at) => (at < 98 ? 0 : () => 0)),
      "[98]",
    ],
    ["an instance of a class", { account: new Account() }, "nextValue.account is an Account"],
    ["a promise", Promise.resolve(1), "nextValue is a Promise"],
    ["a part that is a promise", new Map([["a", Promise.resolve(1)]]), "<value 0> is a Promise"],
  ];
  it.each(unclonable)("as a value: %s", (_name, value, said) => {
    expectProblem(problemsOf(moduleOf(() => [0, 1, value, 1])), "unclonable", said);
  });
  it.each(unclonable)("as a result: %s", (_name, value, said) => {
    const problems = problemsOf(moduleOf(() => [value, 1, 1, 1]));
    expectProblem(problems, "unclonable", said.replace("nextValue", "ret"));
    const asked = problemsOf(
      moduleOf(
        () => [0, 1, 1, 1],
        () => [value, 1],
      ),
    );
    expectProblem(asked, "unclonable", said.replace("nextValue", "ret"));
  });
  it("as an argument", () => {
    const pure = moduleOf(() => [0, 1, 1, 1]);
    const problems = problemsOf(pure, { commands: [() => 0, { who: new Account() }] });
    expectProblem(problems, "unclonable", "the argument is", "the argument.who is an Account");
    expect(problems.every(({ where }) => where === "example")).toBe(true);
  });
});

describe("what is malformed", () => {
  const malformed: readonly (readonly [string, unknown, string])[] = [
    ["a promise", Promise.resolve([0, 1, 1, 1]), "must return [ret, load, nextValue, nextSize]"],
    ["no tuple", 7, "must return"],
    ["a short tuple", [0, 1], "must return"],
    ["a negative size", [0, 1, 1, -1], "nextSize must be a finite number"],
    ["a size that is no number", [0, 1, 1, Number.NaN], "nextSize"],
    ["an endless load", [0, Number.POSITIVE_INFINITY, 1, 1], "load must be"],
    ["a load that is a text", [0, "1", 1, 1], "load"],
  ];
  it.each(malformed)("%s", (_name, outcome, said) => {
    expectProblem(problemsOf(moduleOf(() => outcome)), "malformed", said);
  });
  it.each([[7], [[1]], [[1, -1]], [Promise.resolve([1, 1])]])("a query's: %s", (outcome) => {
    const problems = problemsOf(
      moduleOf(
        () => [0, 1, 1, 1],
        () => outcome,
      ),
    );
    expectProblem(problems, "malformed", "query of keyspace");
  });
});

describe("a leader hook", () => {
  const pure = moduleOf((previous = [], _key, arg) => [0, 1, [...(previous as []), arg], 1]);
  it("that throws, is asynchronous or changes the value", () => {
    const fails = () => {
      throw new Error("no mail server");
    };
    const of = (hook: ModuleExamples["hook"]) => problemsOf(pure, { hook });
    expectProblem(of({ onCommandCommitted: fails }), "hook", "threw: no mail server");
    expectProblem(of({ onQueryAnswered: fails }), "hook", "threw: no mail server");
    const later = async () => fails();
    expectProblem(of({ onCommandCommitted: later }), "hook", "returned a promise");
    const changes = (...given: unknown[]) => void (given[5] as unknown[]).push(0);
    expectProblem(of({ onCommandCommitted: changes }), "hook", "changed the value");
  });
  it("is given what a shard would give it", () => {
    const told: unknown[] = [];
    const hook: ModuleExamples["hook"] = {
      onCommandCommitted: (...given) => told.push(structuredClone(given)),
      onQueryAnswered: (...given) => told.push(structuredClone(given)),
    };
    expect(problemsOf(pure, { hook, commands: ["x", "y"], queries: ["?"] })).toEqual([]);
    expect(told).toEqual([
      [undefined, 0, "a", "x", 0, ["x"], 1],
      [["x"], 1, "a", "?", ["x"]],
      [["x"], 1, "a", "y", 0, ["x", "y"], 1],
      [["x", "y"], 1, "a", "?", ["x", "y"]],
    ]);
  });
});

describe("pure code", () => {
  /** Changes values in place, by time and chance of the entry, and refuses some commands. */
  const pure: ValuePerKey<Map<number, number>, string, number, number, "sum", number> = {
    command(scores = new Map(), _size, _key, arg, { now, random }) {
      if (arg > 0.9) throw new Error("too much");
      if (arg < 0.1) return [0, 1, undefined, 0];
      scores.set(now, random());
      return [new Date(now).getTime(), random(), scores, scores.size];
    },
    query: (scores, size, _key, _sum, { now, random }) => [now + size + random(), scores.size],
  };

  it("is found pure, with made and listed examples, and what it refuses is told of", () => {
    const made = checkValuePerKey(pure, {
      commands: (random) => random(),
      queries: () => "sum",
      keys: ["a", "b"],
      count: 300,
    });
    expect(made.problems).toEqual([]);
    expect(made.ok).toBe(true);
    expect(made.commands).toBe(600);
    expect(made.queries).toBeGreaterThan(100);
    expect(made.refusals.length).toBeGreaterThan(10);
    expect(made.refusals[0]).toMatchObject({ where: "command", key: "a" });
    expect(made.refusals[0]?.message).toContain("too much");
    expect(String(made)).toBe(
      `The module is pure, as far as 600 commands and ${made.queries} queries show.`,
    );
    const listed = assertValuePerKey(pure, { commands: new Set([0.5, 0.6]), queries: ["sum"] });
    expect([listed.commands, listed.queries]).toEqual([2, 2]);
  });

  it("makes the same examples from the same seed", () => {
    const drawn = (seed: number) => {
      const all: unknown[] = [];
      const module = moduleOf((_previous, _key, arg, random) => {
        all.push(arg, random());
        return [0, 1, 1, 1];
      });
      checkValuePerKey(module, { commands: (random) => random(), count: 5, seed });
      return all;
    };
    expect(drawn(7)).toEqual(drawn(7));
    expect(drawn(7)).not.toEqual(drawn(8));
    expect(drawn(7)).toHaveLength(20);
  });
});

describe("the report", () => {
  it("says each thing once, and at most a hundred of them", () => {
    const bad = moduleOf((_previous, _key, arg) => [0, 1, arg, -1]);
    expect(problemsOf(bad, { commands: Array(50).fill(1) })).toHaveLength(1);
    const keys = Array.from({ length: 150 }, (_, at) => at);
    expect(problemsOf(bad, { keys })).toHaveLength(100);
  });

  it("is the message of the error that assertValuePerKey throws", async () => {
    const bad = moduleOf(() => [Math.random(), 1, 1, 1]);
    let thrown: unknown;
    try {
      assertValuePerKey(bad, { commands: [{ add: 1 }] });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(RaftKVError);
    expect(thrown).toMatchObject({ code: "INVALID_MODULE" });
    const { message } = thrown as RaftKVError;
    expect(message).toContain("1 problem of the module, in 1 command and 0 queries:\n- command, ");
    expect(message).toContain("It asked Math.random(). (argument: { add: 1 })");
  });

  it("is not made of what cannot be checked", async () => {
    const pure = moduleOf(() => [0, 1, 1, 1]);
    const check = (module: unknown, examples: unknown) => () =>
      checkValuePerKey(module as ValuePerKey, examples as ModuleExamples);
    const commands = [1];
    await expectCode(async () => check({}, { commands })(), "INVALID_MODULE");
    await expectCode(async () => check(pure, { commands, hook: 7 })(), "INVALID_MODULE");
    for (const wrong of [
      undefined,
      7,
      {},
      { commands: "text" },
      { commands, queries: 7 },
      { commands, count: 0 },
      { commands: () => 1, count: 1.5 },
      { commands, seed: -1 },
      { commands, inPlace: true },
      { commands: Array(10_001).fill(0) },
    ]) {
      await expectCode(async () => check(pure, wrong)(), "INVALID_ARGUMENT");
    }
    await expectCode(async () => check(pure, { commands, keys: [Number.NaN] })(), "INVALID_KEY");
    await expectCode(async () => check(pure, { commands, keys: [{}] })(), "INVALID_KEY");
  });
});
