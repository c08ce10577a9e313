/** Commands on one key that were not awaited take effect in the order of the calls. */
import { expect, it } from "vitest";
import { sequenceModule } from "../support/modules.ts";
import { openNode, QUICK, scratchDirectory } from "../support/nodes.ts";
import { sleep } from "../support/waiting.ts";

const KEYS = 60;
const ROUNDS = 150;
const BURST = 20;
const many = { maxShards: 8, maxKeysPerShard: 5 };
const few = { maxShards: 8, maxKeysPerShard: 1_000_000 };

for (const place of ["memory", "disk"] as const) {
  it(`keeps call order per key through splits and merges, in ${place}`, async () => {
    const dataDir = place === "memory" ? ":memory:" : scratchDirectory();
    const node = await openNode({ ...QUICK, dataDir });
    const keyspace = await node.kv.registerKeyspace("seq", sequenceModule, null, few);
    let moves = 0;
    node.kv.events.on("split", () => moves++);
    node.kv.events.on("merge", () => moves++);
    const calls: Promise<number>[] = [];
    const next = new Array<number>(KEYS).fill(0);
    for (let round = 0; round < ROUNDS; round++) {
      if (round % 30 === 0) {
        await node.kv.setKeyspacePolicy("seq", round % 60 === 0 ? many : few);
      }
      for (let at = 0; at < BURST; at++) {
        for (let key = 0; key < KEYS; key++) {
          const number = next[key] as number;
          next[key] = number + 1;
          // Some calls have options of their own and take the client's other way.
          const options = number % 7 === 3 ? { timeout: 5_000 } : undefined;
          calls.push(keyspace.command(`key-${key}`, number, options));
        }
        if (at % 7 === 6) await null;
      }
      await sleep(10);
    }
    const results = await Promise.all(calls);
    expect(results.length).toBe(KEYS * ROUNDS * BURST);
    for (let key = 0; key < KEYS; key++) {
      const { next: count, firstWrong } = (await keyspace.query(`key-${key}`, "get")) ?? {};
      expect(firstWrong, `the first number of key ${key} out of order`).toBeNull();
      expect(count).toBe(ROUNDS * BURST);
    }
    expect(moves, "splits and merges during the test").toBeGreaterThan(2);
  });
}
