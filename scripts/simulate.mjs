/**
 * `node scripts/simulate.mjs [--seeds N] [--seed N] [--trace]`: simulates clusters, one for each seed from
 * `--seed` (1) on, 200 by default. A failure says which seed it was and how to run it again.
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { attempt, ROOT, script } from "./steps.mjs";

await script(async () => {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      seed: { type: "string" },
      trace: { type: "boolean", default: false },
    },
  });
  // A seed by itself is one to look at again.
  const seeds = values.seeds ?? (values.seed === undefined ? "200" : "1");
  process.env.RAFT_KV_SEED = values.seed ?? "1";
  process.env.RAFT_KV_SEEDS = seeds;
  process.env.RAFT_KV_SUMMARY = "1";
  if (values.trace) process.env.RAFT_KV_TRACE = "1";
  const vitest = join(ROOT, "node_modules/.bin/vitest");
  const { code } = await attempt(vitest, ["run", "test/simulation/seeds.test.ts"]);
  process.exitCode = code;
});
