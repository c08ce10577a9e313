/**
 * What was acknowledged is there after SIGKILL at any moment, and nothing took effect twice.
 *
 * A child counts with many clients and is killed at random moments: while it opens, under plain
 * load, in the middle of splits and merges, of snapshots and purges. The parent writes down what was
 * called and what was acknowledged, and checks it against what the next child finds.
 *
 * `RAFT_KV_TEST_KILLS=500 RAFT_KV_TEST_SEED=1 npx vitest run test/process/kill.test.ts` repeats
 * seed 1 with 500 kills for each kind of load.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { seeded } from "../node/support/random.ts";
import { type CountingLoad, Ledger, startCounter } from "./support/counting.ts";
import { scratchDirectory } from "./support/programs.ts";

const KILLS = Number(process.env.RAFT_KV_TEST_KILLS ?? 5);
const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const LIFE_MS_MAX = 900;
const REPEAT = `RAFT_KV_TEST_KILLS=${KILLS} RAFT_KV_TEST_SEED=${SEED} npx vitest run test/process/kill.test.ts`;

const loads: Record<string, CountingLoad> = {
  "plain load": { clients: 64, keys: 40, ballastBytes: 20, moving: false },
  "splits and merges": { clients: 40, keys: 40, ballastBytes: 20, moving: true },
  "snapshots and purges": {
    ...{ clients: 40, keys: 20, ballastBytes: 16_000, moving: false },
    snapshots: true,
  },
  "all of it at once": {
    ...{ clients: 40, keys: 60, ballastBytes: 8_000, moving: true },
  },
};

describe(`seed ${SEED}, ${KILLS} kills for each load`, () => {
  for (const [at, [name, load]] of Object.entries(loads).entries()) {
    it(
      name,
      async () => {
        console.log(`repeat with: ${REPEAT} -t "${name}"`);
        const random = seeded(SEED + at);
        const directory = scratchDirectory();
        const ledger = new Ledger(load.keys);
        for (let kill = 0; kill < KILLS; kill++) {
          const mode = random() < 0.5 ? "load at once" : "load when settled";
          const child = startCounter(directory, load, mode, ledger);
          // Every fifth is killed at any moment of its life, opening and recovery included.
          if (random() >= 0.2) await child.line((line) => line === "ready");
          await new Promise((resolve) => setTimeout(resolve, random() * LIFE_MS_MAX));
          child.process.kill("SIGKILL");
          const end = await child.ended;
          expect(end.signal, end.errors).toBe("SIGKILL");
          child.rethrow();
        }
        const child = startCounter(directory, load, "check", ledger);
        const end = await child.ended;
        child.rethrow();
        expect([end.code, end.errors]).toEqual([0, ""]);
        expect(end.output).toMatch(/ready\n$/);
        if (load.snapshots) {
          expect(readdirSync(join(directory, "snapshots")).length).toBeGreaterThan(0);
        }
        expect(ledger.total, "acknowledged commands").toBeGreaterThan(KILLS);
      },
      KILLS * 20_000 + 60_000,
    );
  }
});
