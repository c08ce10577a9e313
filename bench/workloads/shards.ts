/** Sets and gets over more and more shards of one node, compared with a single one. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fill, keyOf, valuesOf } from "../contenders/contender.ts";
import { openStore, operationsOf } from "../contenders/raft-kv.ts";
import { type Case, runCase, type Workload } from "../suite.ts";

const WAIT_MS_MAX = 120_000;

export const shards: Workload = {
  name: "shards",
  title: "sets and gets over several shards (compared with one)",
  run: async (context) => {
    const stores = [];
    try {
      for (const count of context.extent.shards) {
        const store = await openStore(join(context.directory, `shards-${count}`), count);
        stores.push({ count, ...store });
        await fill(operationsOf(store.keyspace));
        const end = performance.now() + WAIT_MS_MAX;
        while ((await store.node.kv.shards("registers")).length < count) {
          if (performance.now() > end) throw new Error(`${count} shards did not come to be`);
          await sleep(50);
        }
      }
      const value = valuesOf(5);
      const clients = Math.min(1024, context.extent.clients.at(-1) ?? 1);
      const cases: Case[] = [];
      for (const what of ["set", "get"]) {
        const runners = stores.toReversed().map(({ count, keyspace }) => {
          const { set, get, role } = operationsOf(keyspace);
          const operation = (turn: number) =>
            what === "set" ? set(keyOf(turn), value()) : get(keyOf(turn));
          return { name: `${count} shards`, role, operation };
        });
        cases.push(await runCase(context, { what, clients, bytes: 5 }, runners));
      }
      return { cases, measures: [] };
    } finally {
      await Promise.all(stores.map(({ node }) => node.close()));
    }
  },
};
