/**
 * `npm run test:chaos [-- --seconds N] [--seed N] [--nodes N] [--rounds N] [--faults "kill,leave"]`:
 * real processes under chaos, one run after another with the seeds from `--seed` on, until one
 * fails. test/chaos/ has how.
 */
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { ROOT, run, script, step } from "./steps.mjs";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
    nodes: { type: "string" },
    faults: { type: "string" },
    rounds: { type: "string", default: "1" },
  },
});

await script(async () => {
  await build();
  const first = Number(values.seed);
  for (let seed = first; seed < first + Number(values.rounds); seed++) {
    await step(`chaos, seed ${seed}`, () => chaos(seed));
  }
});

/** @param {number} seed */
function chaos(seed) {
  const { seconds, nodes, faults } = values;
  const env = {
    ...process.env,
    RAFT_KV_TEST_SEED: String(seed),
    RAFT_KV_CHAOS_SECONDS: seconds,
    ...(faults !== undefined && { RAFT_KV_CHAOS_FAULTS: faults }),
    ...(nodes !== undefined && { RAFT_KV_CHAOS_NODES: nodes }),
  };
  const vitest = `${ROOT}node_modules/.bin/vitest`;
  const args = ["run", "test/chaos/chaos.test.ts", "--disable-console-intercept"];
  return run(vitest, args, { env });
}
