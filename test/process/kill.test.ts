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
import { scratchDirectory, start } from "./support/programs.ts";

const KILLS = Number(process.env.RAFT_KV_TEST_KILLS ?? 5);
const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const LIFE_MS_MAX = 900;
const REPEAT = `RAFT_KV_TEST_KILLS=${KILLS} RAFT_KV_TEST_SEED=${SEED} npx vitest run test/process/kill.test.ts`;

interface Load {
  readonly clients: number;
  readonly keys: number;
  readonly ballastBytes: number;
  readonly moving: boolean;
  /** The log grows by more than the 8 MiB after which a snapshot is due. */
  readonly snapshots?: boolean;
}

const loads: Record<string, Load> = {
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

/** What is known of the counters from outside. */
class Ledger {
  /** The count that was found at the last start, and what happened to each key since. */
  private readonly found: number[];
  private attempted: number[];
  private acknowledged: number[];
  /** The highest count that was acknowledged. */
  private readonly highest: number[];
  total = 0;

  constructor(keys: number) {
    this.found = new Array(keys).fill(0);
    this.highest = new Array(keys).fill(0);
    this.attempted = new Array(keys).fill(0);
    this.acknowledged = new Array(keys).fill(0);
  }

  take(line: string): void {
    const [kind, text, count] = line.split(" ");
    const key = Number(text);
    if (kind === "a") this.attempted[key] = (this.attempted[key] as number) + 1;
    if (kind === "k") {
      this.total++;
      this.acknowledged[key] = (this.acknowledged[key] as number) + 1;
      this.highest[key] = Math.max(this.highest[key] as number, Number(count));
    }
    if (kind === "v") this.check(key, Number(count));
  }

  private check(key: number, count: number): void {
    const base = this.found[key] as number;
    const least = base + (this.acknowledged[key] as number);
    const most = base + (this.attempted[key] as number);
    if (count < least) throw new Error(`key ${key}: ${least} acknowledged, ${count} are there`);
    if (count > most) throw new Error(`key ${key}: ${most} called, ${count} are there`);
    const highest = this.highest[key] as number;
    if (count < highest) throw new Error(`key ${key}: ${highest} was answered, now it is ${count}`);
    this.found[key] = count;
    this.attempted[key] = 0;
    this.acknowledged[key] = 0;
  }
}

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
          const child = startChild(directory, load, mode, ledger);
          // Every fifth is killed at any moment of its life, opening and recovery included.
          if (random() >= 0.2) await child.line((line) => line === "ready");
          await new Promise((resolve) => setTimeout(resolve, random() * LIFE_MS_MAX));
          child.process.kill("SIGKILL");
          const end = await child.ended;
          expect(end.signal, end.errors).toBe("SIGKILL");
          child.rethrow();
        }
        const child = startChild(directory, load, "check", ledger);
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

function startChild(directory: string, load: Load, mode: string, ledger: Ledger) {
  const child = start("counts-until-killed.mjs", [JSON.stringify({ directory, mode, ...load })]);
  let fault: unknown;
  child.onLine((line) => {
    try {
      ledger.take(line);
    } catch (error) {
      fault ??= error;
    }
  });
  const rethrow = () => {
    if (fault !== undefined) throw fault;
  };
  return { ...child, rethrow };
}
