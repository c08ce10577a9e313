/**
 * A process with an engine, for the tests of how processes end. Plain JavaScript on the binding
 * itself, so that nothing else can hold the process alive.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";

const { NativeEngine } = createRequire(import.meta.url)("../../native/binding.cjs");
const [, , mode, directory] = process.argv;
const OPTIONS = {
  directory: directory ?? null,
  ...{ durability: "buffered", clusterName: "child", logLevel: "error" },
  ...{ heartbeatIntervalMs: 250, electionTimeoutMs: 1000 },
  ...{ eventQueueBytesMax: 1 << 20, eventBatchBytesMax: 1 << 16 },
};
const open = () => NativeEngine.open(OPTIONS, () => {});
/** Closes and lets go, as ts/native does. */
const close = async (engine) => {
  await engine.close();
  engine.release();
};
const threads = () => readdirSync("/proc/self/task").length;

const MODES = {
  /** Closed: ends by itself. */
  async close() {
    const engine = await open();
    await engine.createGroup(1, new Uint8Array(4));
    await close(engine);
  },
  /** Open but let go: ends by itself, closing on the way. */
  async unref() {
    const engine = await open();
    await engine.createGroup(1, new Uint8Array(4));
    engine.unref();
  },
  /** Open: lives until it is killed. */
  async hold() {
    const engine = await open();
    engine.unref();
    engine.ref();
    process.send("open");
  },
  /** Ends in the middle of everything. */
  async exit() {
    const engine = await open();
    engine.createGroup(1, new Uint8Array(4));
    open();
    process.exit(7);
  },
  /** Opened and closed over and over: nothing stays behind. */
  async rounds() {
    const measured = [];
    for (let round = 1; round <= 220; round++) {
      const engine = await open();
      if (round % 10 === 0) await engine.createGroup(1, new Uint8Array(4));
      await close(engine);
      if (round === 20 || round === 220) measured.push([threads(), descriptors()]);
    }
    process.send(measured);
    process.disconnect();
  },
  /** Loaded in a worker thread. */
  async worker() {
    const engine = await open();
    const worker = new Worker(new URL("worker.mjs", import.meta.url), { workerData: OPTIONS });
    worker.on("message", (message) => process.send(message));
    worker.on("exit", async () => {
      await close(engine);
      process.disconnect();
    });
  },
};

function descriptors() {
  return readdirSync("/proc/self/fd").length + process.getActiveResourcesInfo().length;
}

await MODES[mode]();
