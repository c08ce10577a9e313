import { describe, expect, it } from "vitest";
import { type Budget, explore, type Scenario } from "./explorer.ts";
import { END } from "./harness.ts";

const HALF = END / 2;
const QUIET: Budget = { lost: 0, repeated: 0, givenUp: 0 };

const split: Scenario = {
  range: { start: HALF, end: END },
  senderRange: { start: 0, end: END },
  receiverRange: null,
  present: [
    { key: "low", hash: 10, at: 0 },
    { key: "first", hash: HALF, at: 0 },
    { key: "gone", hash: HALF + 5, at: 0 },
  ],
  operations: [],
  budget: QUIET,
  mayAbort: false,
};

const merge: Scenario = {
  ...split,
  senderRange: { start: HALF, end: END },
  receiverRange: { start: 0, end: HALF },
  present: [
    { key: "low", hash: 10, at: 1 },
    { key: "first", hash: HALF, at: 0 },
    { key: "gone", hash: HALF + 5, at: 0 },
  ],
};

const append = { key: "first", hash: HALF, kind: "append", first: 0 } as const;
const unset = { key: "gone", hash: HALF + 5, kind: "unset", first: 0 } as const;
const create = { key: "new", hash: HALF + 9, kind: "append", first: 0 } as const;
const early = { key: "first", hash: HALF, kind: "append", first: 1 } as const;

describe.each([
  ["split", split],
  ["merge", merge],
] as const)("every interleaving of a %s", (_name, scenario) => {
  it("with a change, a removal and a creation", () => {
    const { runs } = explore({ ...scenario, operations: [append, unset, create] });
    expect(runs).toBeGreaterThan(0);
  });

  it("with answers lost and retried", () => {
    const budget = { lost: 2, repeated: 0, givenUp: 0 };
    explore({ ...scenario, operations: [append, append], budget });
  });

  it("with each command of the transfer repeated late, twice", () => {
    const budget = { lost: 0, repeated: 2, givenUp: 0 };
    explore({ ...scenario, operations: [append], budget });
  });

  it("with a repetition, a lost answer and a removal", () => {
    const budget = { lost: 1, repeated: 1, givenUp: 0 };
    explore({ ...scenario, operations: [append, unset], budget });
  });

  it("with a request that reaches the receiver early", () => {
    const budget = { lost: 1, repeated: 1, givenUp: 0 };
    explore({ ...scenario, operations: [early, append], budget });
  });

  it("with a caller that gives up while its retry is parked", () => {
    const budget = { lost: 1, repeated: 0, givenUp: 1 };
    explore({ ...scenario, operations: [append, append], budget });
  });

  it("with giving the transfer up", () => {
    const budget = { lost: 1, repeated: 1, givenUp: 0 };
    explore({ ...scenario, operations: [early, unset], budget, mayAbort: true });
  });
});
