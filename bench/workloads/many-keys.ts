/** A million keys: time to write them, memory for each, sets and gets, and time to open them again. */
import { join } from "node:path";
import { valuesOf } from "../contenders/contender.ts";
import { openStore, operationsOf } from "../contenders/raft-kv.ts";
import { type Case, runCase, type Workload } from "../suite.ts";

const BATCH = 4096;

/** Memory of this process after a collection, which the suite's processes can ask for. */
function residentBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}

export const manyKeys: Workload = {
  name: "many-keys",
  title: "many keys in one shard: throughput, memory per key, restart",
  run: async (context) => {
    const { manyKeys: keys, clients: counts } = context.extent;
    const dataDir = join(context.directory, "store");
    const before = await openStore(dataDir);
    let fillSeconds: number;
    let bytesPerKey: number;
    const value = valuesOf(5);
    const cases: Case[] = [];
    try {
      const { set, get, role } = operationsOf(before.keyspace);
      const empty = residentBytes();
      const filling = performance.now();
      for (let at = 0; at < keys; at += BATCH) {
        const count = Math.min(BATCH, keys - at);
        await Promise.all(
          Array.from({ length: count }, (_, next) => set(`key-${at + next}`, value())),
        );
      }
      fillSeconds = (performance.now() - filling) / 1000;
      bytesPerKey = (residentBytes() - empty) / keys;
      const clients = Math.min(1024, counts.at(-1) ?? 1);
      const keyOf = (turn: number) => `key-${(turn * 7919) % keys}`;
      for (const what of ["set", "get"]) {
        const operation = (turn: number) =>
          what === "set" ? set(keyOf(turn), value()) : get(keyOf(turn));
        const runner = { name: `${keys} keys`, role, operation };
        cases.push(await runCase(context, { what, clients, bytes: 5 }, [runner]));
      }
    } finally {
      await before.node.close();
    }
    const opening = performance.now();
    const after = await openStore(dataDir);
    try {
      await after.keyspace.query(`key-${keys - 1}`, "get");
      const restart = (performance.now() - opening) / 1000;
      const measures = [
        { what: `writing ${keys} keys`, unit: "s", values: [fillSeconds] },
        {
          what: "resident memory per key, after a collection",
          unit: "B",
          values: [bytesPerKey],
        },
        { what: `restart with ${keys} keys, to the first get`, unit: "s", values: [restart] },
      ];
      return { cases, measures };
    } finally {
      await after.node.close();
    }
  },
};
