/**
 * Real processes under chaos: whatever is killed, stopped, cut off, filled or slowed down, and
 * whoever leaves or leads meanwhile, what clients were answered is linearizable key by key, and
 * every addition counted once.
 *
 * `npm run test:chaos -- --seconds 600 --seed 1` repeats seed 1 for ten minutes.
 */
import { afterEach, expect, it } from "vitest";
import { endRuns, runChaos } from "./run.ts";

const SECONDS = Number(process.env.RAFT_KV_CHAOS_SECONDS ?? 30);
/** The same faults in every run of the gate; `npm run test:chaos` draws others. */
const GATE_SEED = 45_103;
const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? GATE_SEED);
const ONLY = process.env.RAFT_KV_CHAOS_FAULTS?.split(",");
const NODES = Number(process.env.RAFT_KV_CHAOS_NODES ?? 3 + (SEED % 2));

afterEach(endRuns);

it(
  `answers linearizably under chaos, seed ${SEED}`,
  async () => {
    const repeat = `npm run test:chaos -- --seconds ${SECONDS} --seed ${SEED} --nodes ${NODES}`;
    console.log(`repeat with: ${repeat}`);
    const settings = { seed: SEED, seconds: SECONDS, nodes: NODES, only: ONLY, say: console.log };
    expect(await runChaos(settings), `repeat with: ${repeat}`).toEqual([]);
  },
  SECONDS * 3_000 + 240_000,
);
