/**
 * The TypeScript half under simulation, seed by seed. `node scripts/simulate.mjs` runs more of them;
 * RAFT_KV_SEEDS says how many, RAFT_KV_SEED the first.
 */
import { expect, test } from "vitest";
import { simulate } from "./simulation.ts";

/** Seeds of a run in the gate. */
const SEEDS_OF_THE_GATE = 10;

const first = Number(process.env.RAFT_KV_SEED ?? 1);
const count = Number(process.env.RAFT_KV_SEEDS ?? SEEDS_OF_THE_GATE);
const seeds = Array.from({ length: count }, (_, at) => first + at);

test.each(seeds)(
  "seed %i",
  async (seed) => {
    const summary = await simulate(seed);
    expect(summary.commands).toBeGreaterThan(0);
    if (process.env.RAFT_KV_SUMMARY !== undefined) console.log(`seed ${seed}`, summary);
  },
  120_000,
);

test("the same seed gives the same run, another one another", async () => {
  const short = { duration: 3_000 };
  const [one, again, other] = [
    await simulate(first, short),
    await simulate(first, short),
    await simulate(first + 1, short),
  ];
  expect(again).toEqual(one);
  expect(other.hash).not.toBe(one.hash);
}, 120_000);
