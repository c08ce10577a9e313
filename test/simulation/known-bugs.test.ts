/** Proves the simulation: every known bug, put back, is found within a few seeds. */
import { expect, test } from "vitest";
import { KNOWN_BUGS } from "./known-bugs.ts";
import { type RunOptions, simulate } from "./simulation.ts";

const SEEDS_MAX = 12;

/** The first breach that is found, if one is. */
async function breachFrom(first: number, options: RunOptions = {}): Promise<string | undefined> {
  for (let seed = first; seed < first + SEEDS_MAX; seed++) {
    try {
      await simulate(seed, options);
    } catch (error) {
      return (error as Error).message;
    }
  }
  return undefined;
}

test.each(KNOWN_BUGS)("finds that $name", { timeout: 180_000 }, async ({ put, breach, seed }) => {
  const takeBack = put();
  try {
    expect(await breachFrom(seed)).toMatch(breach);
  } finally {
    takeBack();
  }
});

test("finds that an engine lets later commands of a node pass refused ones", async () => {
  expect(await breachFrom(1, { keepsOrder: false })).toMatch(/overtook/);
}, 180_000);
