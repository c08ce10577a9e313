/** The longest time that a key waits while its shard of many keys is split, under load. */
import { createNode, SplitMergePolicy } from "raft-kv";
import { registers } from "./workloads.ts";

const CLIENTS = 64;

/** Fills one shard, lets it split while clients write and read, and records the longest wait. */
export async function measureSplit(dataDir: string, keys: number) {
  const node = createNode({ dataDir });
  await node.fleet.activate("bench");
  await node.kv.init();
  const still = new SplitMergePolicy({ maxShards: 1 });
  const keyspace = await node.kv.openKeyspace("wide", registers, null, still);
  for (let at = 0; at < keys; at += 1000) {
    const some = Array.from({ length: 1000 }, (_, next) => `key-${at + next}`);
    await Promise.all(some.map((key) => keyspace.command(key, { set: "filled" })));
  }
  const calm = await longestWait(500);
  const split = new Promise<{ pause: number }>((resolve) => node.kv.events.once("split", resolve));
  let over = false;
  const during = longestWait(Number.POSITIVE_INFINITY, () => over);
  const started = performance.now();
  const policy = new SplitMergePolicy({ maxShards: 2, maxKeysPerShard: keys * 0.75 });
  await node.kv.setKeyspacePolicy("wide", policy);
  const { pause } = await split;
  const seconds = (performance.now() - started) / 1000;
  over = true;
  const wait = await during;
  await node.close();
  const figures = { keys, seconds, pause, wait, calm };
  const text =
    `split of a shard of ${keys} keys under ${CLIENTS} clients: longest wait ${wait.toFixed(1)} ms ` +
    `(${calm.toFixed(1)} ms without a split), range closed for ${pause.toFixed(1)} ms, ` +
    `${seconds.toFixed(2)} s in all`;
  return { figures, text };

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
