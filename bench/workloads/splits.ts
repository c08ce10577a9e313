/** 3,000 keys at once in a keyspace of 100 keys per shard: how soon 15 shards are there. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, SplitMergePolicy } from "raft-kv";
import { registers } from "../contenders/raft-kv.ts";
import type { Workload } from "../suite.ts";

const KEYS = 3000;
const SHARDS = 15;
const WAIT_MS_MAX = 120_000;

export const splits: Workload = {
  name: "splits",
  title: "14 splits of one keyspace, 100 keys per shard, 3,000 keys written at once",
  run: async ({ directory, extent }) => {
    const values: number[] = [];
    for (let round = 0; round < extent.failovers; round++) {
      const node = createNode({ dataDir: join(directory, `node-${round}`) });
      try {
        await node.fleet.activate("bench");
        await node.kv.init();
        const policy = new SplitMergePolicy({ maxShards: SHARDS, maxKeysPerShard: 100 });
        const keyspace = await node.kv.openKeyspace("narrow", registers, null, policy);
        const start = performance.now();
        const all = Array.from({ length: KEYS }, (_, at) => `key-${at}`);
        await Promise.all(all.map((key) => keyspace.command(key, { set: "filled" })));
        while ((await node.kv.shards("narrow")).length < SHARDS) {
          if (performance.now() - start > WAIT_MS_MAX) throw new Error("the shards did not come");
          await sleep(20);
        }
        values.push((performance.now() - start) / 1000);
      } finally {
        await node.close();
      }
    }
    return { cases: [], measures: [{ what: "until 15 shards", unit: "s", values, goal: 3 }] };
  },
};
