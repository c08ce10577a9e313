/**
 * `npm run soak [-- --minutes N] [--seed N]`: a cluster of processes under load, with splits,
 * merges, snapshots and kills, whose memory, disks and file handles must not grow.
 */
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { ROOT, run, script, step } from "./steps.mjs";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, seed: { type: "string" } },
});

await script(async () => {
  await build();
  const { minutes, seed } = values;
  const env = {
    ...process.env,
    RAFT_KV_SOAK_MINUTES: minutes,
    ...(seed !== undefined && { RAFT_KV_TEST_SEED: seed }),
  };
  const args = ["run", "test/chaos/soak.test.ts", "--disable-console-intercept"];
  await step("soak", () => run(`${ROOT}node_modules/.bin/vitest`, args, { env }));
});
