import { afterEach, describe, expect, test } from "vitest";
import { HASH_SPACE } from "../../ts/directory/state.ts";
import { type Fault, KEYSPACE, Simulation } from "./simulation.ts";

const HALF = `${KEYSPACE}_${HASH_SPACE / 2}`;
const FIRST = `${KEYSPACE}_0`;
const KEYS = 42;
let simulation: Simulation;

afterEach(() => simulation.stop());

/** One keyspace whose shard is due for a split. */
async function start(seed: number, fault: Simulation["fault"] = () => null): Promise<void> {
  simulation = new Simulation(seed);
  simulation.lead();
  await simulation.register({ maxShards: 2, maxKeysPerShard: 30 });
  await simulation.sendAll("add", KEYS);
  simulation.calls.length = 0;
  simulation.fault = fault;
  simulation.reporter.start();
}

/** Splits, then merges, while clients go on; everything that was acknowledged must be there. */
async function splitAndMerge(
  seed: number,
  fault?: Simulation["fault"],
  clients = 3,
): Promise<Simulation> {
  await start(seed, fault);
  const stop = simulation.background(KEYS, clients);
  await simulation.run(() => simulation.names().length === 2 && simulation.idle());
  expect(simulation.names()).toEqual([FIRST, HALF]);
  simulation.checkCounts();
  await stop();
  await simulation.sendAll("remove", KEYS - 4);
  const stopAgain = simulation.background(8, clients);
  await simulation.run(() => simulation.names().length === 1 && simulation.idle());
  await stopAgain();
  simulation.checkCounts();
  await simulation.run(() => simulation.groups.size === 1);
  return simulation;
}

describe("split and merge", () => {
  test("nothing is lost or doubled while clients go on", async () => {
    await splitAndMerge(1);
    const transfers = simulation.events.filter((event) => event.type !== "warning");
    expect(transfers.map((event) => event.type)).toEqual(["split", "merge"]);
    expect(transfers).toMatchObject([
      { sender: FIRST, receiver: HALF, pauseMs: expect.any(Number) },
      { sender: HALF, receiver: FIRST, pauseMs: expect.any(Number) },
    ]);
    expect(simulation.executor?.pauses.of(FIRST)?.last).toBeGreaterThan(0);
  });

  test("nothing is committed to the directory while keys wait", async () => {
    await splitAndMerge(2, undefined, 40);
    const { calls } = simulation;
    const handOvers = calls.flatMap((name, at) => (name === "handOver" ? [at] : []));
    expect(handOvers.length).toBe(2);
    for (const at of handOvers) {
      const next = calls.indexOf("publishRoutes", at);
      const pause = calls.slice(at, calls.lastIndexOf("open", next) + 1);
      // With so many clients something changes between the last catching up and the hand-over.
      expect(pause).toContain("install");
      expect(pause).not.toContain("chunk");
      expect(pause.length).toBeLessThanOrEqual(8);
      expect(pause.filter((name) => name.startsWith("directory"))).toEqual([]);
    }
  });

  // The Elixir library's split_merge_test halts the retriable transfer after each of its steps.
  test("an executor that crashes at any call is followed by one that goes on", async () => {
    await splitAndMerge(3);
    const calls = simulation.calls.length;
    expect(calls).toBeGreaterThan(30);
    for (const fault of ["crash before", "crash after"] as const) {
      for (let at = 1; at <= calls; at++) {
        await splitAndMerge(1_000 + at, (call) => (call === at ? fault : null));
        simulation.stop();
      }
    }
  }, 120_000);

  test.each([11, 12, 13, 14, 15, 16, 17, 18])(
    "requests and answers that get lost delay it and do no harm (seed %i)",
    async (seed) => {
      const kinds: Fault[] = ["request lost", "answer lost", "crash before", "crash after"];
      await splitAndMerge(seed, () => {
        if (simulation.random() > 0.15) return null;
        return kinds[Math.floor(simulation.random() * kinds.length)] ?? null;
      });
    },
  );

  test("a shard that can't be copied from is given up, and serves on", async () => {
    await start(4, (_call, name) => (name === "chunk" ? "request lost" : null));
    await simulation.run(() => simulation.events.some((event) => event.type === "warning"));
    await simulation.run(() => simulation.idle());
    expect(simulation.names()).toEqual([FIRST]);
    simulation.checkCounts();
    await simulation.run(() => simulation.groups.size === 1);
    simulation.fault = () => null;
    await simulation.run(() => simulation.names().length === 2 && simulation.idle());
    simulation.checkCounts();
  });

  test("a sender that ends the transfer by itself ends the workflow, in every step", async () => {
    for (const victim of ["begin", "chunk", "directory advance", "handOver"]) {
      let aborted = 0;
      await start(5, (_call, name) => {
        if (name !== victim || aborted > 0) return null;
        for (const workflow of simulation.directoryState().workflows.values()) {
          if (workflow.kind !== "split" || workflow.receiver.group === null) continue;
          const { sender, transfer } = workflow;
          const abort = { type: "abort", transfer } as const;
          const reply = simulation.groups.get(sender.group)?.group.tell(abort);
          if (reply && "type" in reply && reply.type === "done") aborted++;
        }
        return null;
      });
      await simulation.run(() => simulation.events.some((event) => event.type === "warning"));
      expect(aborted).toBe(1);
      await simulation.run(() => simulation.names().length === 2 && simulation.idle());
      simulation.checkCounts();
      simulation.stop();
    }
  });
});

describe("deregistration", () => {
  /** Deregisters at each call of a split (and merge), and wants everything gone. */
  async function deregisterAtEachCall(reach: () => Promise<void>, firstSeed: number) {
    await start(firstSeed);
    await reach();
    const calls = simulation.calls.length;
    simulation.stop();
    let registered = 0;
    for (let at = 1; at <= calls; at++) {
      await start(firstSeed, (call) => {
        if (call === at) simulation.deregister();
        return null;
      });
      await reach();
      await simulation.run(() => simulation.idle());
      if (simulation.directoryState().keyspaces.has(KEYSPACE)) continue;
      await simulation.run(() => simulation.fleet.state.groups.size === 0);
      expect(simulation.groups.size).toBe(0);
      // The name is free again.
      await simulation.register({}, "again");
      expect(simulation.names()).toEqual([FIRST]);
      await simulation.run(() => simulation.idle());
      simulation.stop();
      registered++;
    }
    expect(registered).toBeGreaterThan(10);
  }

  const gone = () => !simulation.directoryState().keyspaces.has(KEYSPACE);

  test("in the middle of a split removes every group, whatever step it is in", async () => {
    await deregisterAtEachCall(
      () => simulation.run(() => gone() || (simulation.names().length === 2 && simulation.idle())),
      6,
    );
  }, 60_000);

  test("in the middle of a merge removes every group, whatever step it is in", async () => {
    await deregisterAtEachCall(async () => {
      await simulation.run(() => gone() || (simulation.names().length === 2 && simulation.idle()));
      if (gone()) return;
      await simulation.sendAll("remove", KEYS);
      await simulation.run(() => gone() || (simulation.names().length === 1 && simulation.idle()));
    }, 7);
  }, 60_000);
});

describe("an executor", () => {
  test("leaves no timer behind when it is stopped, and calls nothing more", async () => {
    await start(7);
    await simulation.run(() => simulation.calls.includes("chunk"));
    simulation.stop();
    const { length } = simulation.calls;
    // What is left is the delay of calls that were under way.
    await simulation.run(() => simulation.timersLeft === 0);
    expect(simulation.calls.length).toBeLessThanOrEqual(length + 1);
    expect(simulation.directoryState().workflows.size).toBe(1);
  });

  test("on another node goes on at once with what the one before began", async () => {
    for (const call of ["chunk", "handOver"] as const) {
      await start(8);
      await simulation.run(() => simulation.calls.includes(call));
      const from = simulation.time;
      simulation.lead(2);
      await simulation.run(() => simulation.names().length === 2);
      expect(simulation.time - from).toBeLessThan(1_000);
      simulation.stop();
    }
  });
});

describe("at default settings", () => {
  test("200 keys become three shards within 5 s, their removal one within 10 s", async () => {
    simulation = new Simulation(10);
    simulation.lead();
    simulation.reporter.start();
    await simulation.register({ maxShards: 16 });
    await simulation.sendAll("add", 210);
    const filled = simulation.time;
    await simulation.run(() => simulation.names().length >= 3);
    expect(simulation.time - filled).toBeLessThan(5_000);
    await simulation.run(() => simulation.idle());
    await simulation.run(() => simulation.time > filled + 8_000);
    simulation.checkCounts();
    await simulation.sendAll("remove", 210);
    const removed = simulation.time;
    await simulation.run(() => simulation.names().length === 1);
    expect(simulation.time - removed).toBeLessThan(10_000);
  });
});
