/** `context.now` never goes back; it and `context.random()` are the same when the log is replayed. */
import { expect, it } from "vitest";
import type { ValuePerKey } from "../../../ts/index.ts";
import { openNode, scratchDirectory } from "../support/nodes.ts";

interface Drawn {
  readonly now: number;
  readonly numbers: readonly number[];
}

/** Remembers the time and three random numbers of each command. */
const drawing: ValuePerKey<readonly Drawn[], string, "draw", Drawn, "get", readonly Drawn[]> = {
  command: (previous = [], _size, _key, _arg, context) => {
    const numbers = [context.random(), context.random(), context.random()];
    const drawn = { now: context.now, numbers };
    return [drawn, 1, [...previous, drawn], 1];
  },
  query: (value, _size, _key, _arg, context) => {
    if (!(context.now > 0) || !(context.random() < 1)) throw new Error("no time and chance");
    return [value, 1];
  },
};

const policy = { maxShards: 1 };
const keys = ["a", "b", "c"];

it("draws the same after restarts, and time goes on from where it was", async () => {
  const dataDir = scratchDirectory();
  const started = Date.now();
  let last = 0;
  const seen = new Map<string, Drawn[]>(keys.map((key) => [key, []]));
  const all = new Set<number>();
  for (let round = 0; round < 3; round++) {
    const node = await openNode({ dataDir });
    const keyspace = await node.kv.openKeyspace("k", drawing, null, policy);
    for (const key of keys) {
      if (round > 0) expect(await keyspace.query(key, "get")).toEqual(seen.get(key));
    }
    for (let at = 0; at < 50; at++) {
      const drawn = await Promise.all(keys.map((key) => keyspace.command(key, "draw")));
      for (const [which, one] of drawn.entries()) {
        expect(one.now).toBeGreaterThanOrEqual(last);
        last = one.now;
        for (const number of one.numbers) {
          expect(number).toBeGreaterThanOrEqual(0);
          expect(number).toBeLessThan(1);
          all.add(number);
        }
        seen.get(keys[which] as string)?.push(one);
      }
    }
    await node.close();
  }
  expect(last).toBeGreaterThanOrEqual(started);
  expect(last).toBeLessThanOrEqual(Date.now());
  // 1,350 draws: commands of one entry, and of different entries, draw differently.
  expect(all.size).toBe(3 * 3 * 50 * keys.length);
});
