/**
 * The power fails: what an operating system held in memory is gone. A child counts on an ext4 that
 * commits by itself every ten minutes only; it is killed, the disk below is copied before anything
 * else is written to it, and the next child opens the copy. Nothing acknowledged may be missing.
 *
 * `RAFT_KV_TEST_POWER_CUTS=100 RAFT_KV_TEST_SEED=1 npx vitest run test/chaos/power-cut.test.ts`
 * repeats seed 1 with 100 cuts.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { seeded } from "../node/support/random.ts";
import { type CountingLoad, Ledger, startCounter } from "../process/support/counting.ts";
import { Disk, makeImage } from "./support/disks.ts";
import { isRoot, possible, SystemFault, system } from "./support/system.ts";

const CUTS = Number(process.env.RAFT_KV_TEST_POWER_CUTS ?? 3);
const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const REPEAT = `RAFT_KV_TEST_POWER_CUTS=${CUTS} RAFT_KV_TEST_SEED=${SEED} npx vitest run test/chaos/power-cut.test.ts`;
const LIFE_MS_MAX = 1_200;
const IMAGE_MEBIBYTES = 384;
/** Neither time nor a rename makes ext4 write anything by itself. */
const MOUNT_OPTIONS = "commit=600,noauto_da_alloc";
const KEYS = 40;
const LOADS: readonly CountingLoad[] = [
  { clients: 64, keys: KEYS, ballastBytes: 20, moving: false },
  { clients: 40, keys: KEYS, ballastBytes: 20, moving: true },
  { clients: 40, keys: KEYS, ballastBytes: 16_000, moving: false },
  { clients: 40, keys: KEYS, ballastBytes: 8_000, moving: true },
];

/** A disk whose power can be cut. */
class Machine {
  private readonly directory = mkdtempSync(join(tmpdir(), "raft-kv-power-"));
  private disk: Disk;

  /** @throws SystemFault where there are no loop devices */
  constructor() {
    makeImage(this.image, IMAGE_MEBIBYTES);
    this.disk = this.mount();
    mkdirSync(this.data);
    // The directory itself is not what is tested.
    system("sync", "-f", this.data);
  }

  get data(): string {
    return join(this.directory, "disk", "data");
  }

  /** Goes on with what is on the disk itself. */
  cutPower(): void {
    const copy = join(this.directory, "copy");
    system("cp", "--sparse=always", this.image, copy);
    this.disk.remove();
    renameSync(copy, this.image);
    this.disk = this.mount();
  }

  remove(): void {
    this.disk.remove();
    rmSync(this.directory, { recursive: true });
  }

  private get image(): string {
    return join(this.directory, "image");
  }

  private mount(): Disk {
    return Disk.ofImage(join(this.directory, "disk"), this.image, MOUNT_OPTIONS);
  }
}

function makeMachine(): Machine {
  if (!isRoot()) throw new SystemFault("needs root");
  return new Machine();
}

/** Gives a machine to `use`, where one can be had. */
async function onMachine(skip: () => void, use: (machine: Machine) => Promise<void>) {
  const machine = possible(makeMachine);
  if ("why" in machine) {
    console.log(`skipped, for no loop device can be mounted: ${machine.why}`);
    skip();
    return;
  }
  try {
    await use(machine.made);
  } finally {
    machine.made.remove();
  }
}

it(
  `loses nothing that was acknowledged when the power fails, seed ${SEED}, ${CUTS} times`,
  async ({ skip }) => {
    console.log(`repeat with: ${REPEAT}`);
    await onMachine(skip, cutAgainAndAgain);
  },
  CUTS * 30_000 + 60_000,
);

it("would notice: what nobody asked to be durable is gone", async ({ skip }) => {
  await onMachine(skip, async (machine) => {
    const write = (name: string, isSynced: boolean) => {
      const file = openSync(join(machine.data, name), "w");
      writeSync(file, name.repeat(10_000));
      if (isSynced) fsyncSync(file);
      closeSync(file);
    };
    write("durable", true);
    write("buffered", false);
    machine.cutPower();
    const sizeOf = (name: string) =>
      statSync(join(machine.data, name), { throwIfNoEntry: false })?.size ?? 0;
    expect(sizeOf("durable")).toBe("durable".length * 10_000);
    expect(sizeOf("buffered")).toBe(0);
  });
}, 60_000);

async function cutAgainAndAgain(machine: Machine): Promise<void> {
  const random = seeded(SEED);
  const ledger = new Ledger(KEYS);
  const first = Math.floor(random() * LOADS.length);
  for (let cut = 0; cut < CUTS; cut++) {
    const load = LOADS[(first + cut) % LOADS.length] as CountingLoad;
    const child = startCounter(machine.data, load, "load at once", ledger);
    // Some lose power while they open, recovery after the last cut included.
    const isEarly = random() < 0.15;
    const ready = child.line((line) => line === "ready");
    await (isEarly ? Promise.race([ready, sleep(random() * LIFE_MS_MAX)]) : ready);
    await sleep(random() * LIFE_MS_MAX);
    child.process.kill("SIGKILL");
    const end = await child.ended;
    machine.cutPower();
    await ready.catch(() => undefined);
    expect(end.signal, end.errors).toBe("SIGKILL");
    child.rethrow();
    if (cut % 10 === 9) console.log(`${cut + 1} cuts, ${ledger.total} commands acknowledged`);
  }
  const child = startCounter(machine.data, LOADS[0] as CountingLoad, "check", ledger);
  const end = await child.ended;
  child.rethrow();
  expect([end.code, end.errors]).toEqual([0, ""]);
  expect(ledger.total, "acknowledged commands").toBeGreaterThan(CUTS);
  console.log(`${CUTS} power cuts, ${ledger.total} commands acknowledged, none missing`);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
