/** A query sees every write that was acknowledged before it was called, whoever wrote. */
import { expect, it } from "vitest";
import type { ValuePerKey } from "../../../ts/index.ts";
import { openNode, QUICK, scratchDirectory } from "../support/nodes.ts";

const KEYS = 40;
const WRITES = 250;
const many = { maxShards: 8, maxKeysPerShard: 5 };
const few = { maxShards: 8, maxKeysPerShard: 1_000_000 };

/** The greatest number that was written. */
const greatest: ValuePerKey<number, number, number, number, "get", number> = {
  command: (previous = 0, _size, _key, arg) => {
    const next = Math.max(previous, arg);
    return [next, 1, next, 1];
  },
  query: (value) => [value, 1],
};

it("reads never go back behind an acknowledged write, while shards split and merge", async () => {
  const node = await openNode({ ...QUICK, dataDir: scratchDirectory() });
  const keyspace = await node.kv.registerKeyspace("reads", greatest, null, few);
  const acknowledged = new Array<number>(KEYS).fill(0);
  const seen = new Array<number>(KEYS).fill(0);
  let running = true;
  let reads = 0;

  const writers = acknowledged.map(async (_, key) => {
    for (let number = 1; number <= WRITES; number++) {
      await keyspace.command(key, number);
      acknowledged[key] = number;
      const own = await keyspace.query(key, "get");
      expect(own).toBe(number);
    }
  });
  const readers = Array.from({ length: 20 }, async (_, reader) => {
    for (let key = reader; running; key = (key + 7) % KEYS) {
      // Both are read before the call: the answer may not be older than either.
      const floor = Math.max(acknowledged[key] as number, seen[key] as number);
      const value = (await keyspace.query(key, "get")) ?? 0;
      expect(value).toBeGreaterThanOrEqual(floor);
      seen[key] = Math.max(seen[key] as number, value);
      reads++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const policies = (async () => {
    for (let round = 0; running; round++) {
      await node.kv.setKeyspacePolicy("reads", round % 2 === 0 ? many : few);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  })();
  await Promise.all(writers);
  running = false;
  await Promise.all([...readers, policies]);
  expect(reads).toBeGreaterThan(KEYS);
  for (let key = 0; key < KEYS; key++) expect(await keyspace.query(key, "get")).toBe(WRITES);
});
