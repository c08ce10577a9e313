/** The longest time that a key waits while its shard is split, and merged again, under load. */
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, type RaftKVNode, SplitMergePolicy } from "raft-kv";
import { registers } from "./contenders/raft-kv.ts";

const CLIENTS = 64;
const WAIT_MS_MAX = 60_000;

/** Fills one shard, lets it split and merge under clients, and records the longest waits. */
export async function measureSplit(dataDir: string, keys: number) {
  const node = createNode({ dataDir });
  try {
    return await splitAndMerge(node, keys);
  } finally {
    await node.close();
  }
}

async function splitAndMerge(node: RaftKVNode, keys: number) {
  await node.fleet.activate("bench");
  await node.kv.init();
  const still = new SplitMergePolicy({ maxShards: 1 });
  const keyspace = await node.kv.openKeyspace("wide", registers, null, still);
  for (let at = 0; at < keys; at += 1000) {
    const some = Array.from({ length: 1000 }, (_, next) => `key-${at + next}`);
    await Promise.all(some.map((key) => keyspace.command(key, { set: "filled" })));
  }
  const calm = await longestWait(500);
  const splitPolicy = new SplitMergePolicy({ maxShards: 2, maxKeysPerShard: keys * 0.75 });
  const split = await moved("split", splitPolicy);
  // Without a threshold nothing is ever merged.
  const mergePolicy = new SplitMergePolicy({ maxShards: 2, maxKeysPerShard: keys * 10 });
  const merge = await moved("merge", mergePolicy);
  return { figures: { keys, calm, split, merge } };

  async function moved(kind: "split" | "merge", policy: SplitMergePolicy) {
    const done = new Promise<{ pause: number }>((resolve) => node.kv.events.once(kind, resolve));
    let over = false;
    const during = longestWait(Number.POSITIVE_INFINITY, () => over);
    const started = performance.now();
    try {
      await node.kv.setKeyspacePolicy("wide", policy);
      const late = sleep(WAIT_MS_MAX, null, { ref: false });
      const move = await Promise.race([done, late]);
      if (move === null) throw new Error(`no ${kind} within ${WAIT_MS_MAX} ms`);
      const seconds = (performance.now() - started) / 1000;
      over = true;
      return { pause: move.pause, seconds, wait: await during };
    } finally {
      over = true;
    }
  }

  async function longestWait(milliseconds: number, ended = () => false): Promise<number> {
    const end = performance.now() + milliseconds;
    let longest = 0;
    let turn = 0;
    const client = async () => {
      while (performance.now() < end && !ended()) {
        const key = `key-${(turn++ * 7919) % keys}`;
        const before = performance.now();
        if (turn % 2 === 0) await keyspace.command(key, { set: "again" });
        else await keyspace.query(key, "get");
        longest = Math.max(longest, performance.now() - before);
        if (turn % 2 !== 0) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return longest;
  }
}
