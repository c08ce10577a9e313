/** The modules of the examples by themselves: they are pure functions, so a test needs no node. */
import { expect, it } from "vitest";
import { leaderboard } from "../../examples/leaderboard/leaderboard.mjs";
import { rateLimiter } from "../../examples/rate-limiter/limiter.mjs";
import { articles } from "../../examples/shopping-cart/modules.mjs";
import type { ValuePerKey } from "../../ts/index.ts";

/** Runs commands on one key, as a shard does; time is the test's. */
function key<Value, Command, Ret, Query, QueryRet>(
  module: ValuePerKey<Value, string, Command, Ret, Query, QueryRet>,
) {
  let value: Value | undefined;
  let size = 0;
  const at = (now: number) => ({ now, random: () => 0.5 });
  return {
    command(arg: Command, now = 0): Ret {
      const [ret, , next, nextSize] = module.command(value, size, "key", arg, at(now));
      value = next;
      size = nextSize;
      return ret;
    },
    query: (arg: Query, now = 0) => module.query(value as Value, size, "key", arg, at(now))[0],
  };
}

it("a bucket fills up with time, and never above its burst", () => {
  const client = key(rateLimiter({ rate: 2, burst: 4 }));
  for (let at = 0; at < 4; at++) expect(client.command({ cost: 1 }).allowed).toBe(true);
  expect(client.command({ cost: 1 })).toEqual({ allowed: false, left: 0, retryAfter: 1 });
  expect(client.command({ cost: 1 }, 499).allowed).toBe(false);
  expect(client.command({ cost: 1 }, 500).allowed).toBe(true);
  expect(client.query("left", 3_600_000)).toBe(4);
});

it("reservations run out, are replaced, sold and released, and stock is conserved", () => {
  const lamp = key(articles);
  const reserve = (cart: string, count: number, now: number) =>
    lamp.command({ type: "reserve", cart, count, forMs: 1_000 }, now);
  lamp.command({ type: "stock", count: 5 });
  expect(reserve("ada", 3, 0)).toEqual({ ok: true, left: 2 });
  expect(reserve("ada", 3, 0)).toEqual({ ok: true, left: 2 });
  expect(reserve("bob", 3, 500)).toEqual({ ok: false, left: 2 });
  expect(reserve("bob", 2, 500)).toEqual({ ok: true, left: 0 });
  expect(lamp.query("left", 1_000)).toBe(3);
  expect(lamp.command({ type: "sell", cart: "ada" }, 1_000)).toEqual({ ok: false, left: 3 });
  expect(lamp.command({ type: "sell", cart: "bob" }, 1_000)).toEqual({ ok: true, left: 3 });
  expect(lamp.command({ type: "release", cart: "bob" }, 1_000)).toEqual({ ok: false, left: 3 });
});

it("the top ten are those of all scores", () => {
  const game = key(leaderboard);
  const totals = new Map<string, number>();
  let state = 7;
  for (let round = 0; round < 2_000; round++) {
    state = (state * 48_271) % 2_147_483_647;
    const player = `player-${state % 50}`;
    const points = state % 9;
    totals.set(player, (totals.get(player) ?? 0) + points);
    const { total, rank } = game.command({ player, points });
    expect(total).toBe(totals.get(player));
    const better = [...totals.values()].filter((other) => other > total).length;
    if (better < 10 && rank !== null) expect(rank).toBeGreaterThan(better);
    if (better >= 10) expect(rank).toBeNull();
  }
  const best = [...totals.values()].sort((a, b) => b - a).slice(0, 10);
  expect(game.query({ top: 10 }).map(([, total]) => total)).toEqual(best);
  expect(() => game.command({ player: "cheat", points: -1 })).toThrow("never go down");
});
