/** When a leader has its replicas compared, and what it claims. */
import { expect, test } from "vitest";
import { Comparisons } from "../../ts/cluster/comparisons.ts";
import type { Checked, HostCommand } from "../../ts/host/checks.ts";
import type { Replica } from "../../ts/host/replica.ts";
import {
  COMPARISON_LOOK_MS,
  COMPARISON_REST_FACTOR,
  COMPARISONS_AT_ONCE_MAX,
} from "../../ts/limits.ts";
import { VirtualClock } from "./timers.ts";

const INTERVAL = 5_000;
const NODE = 4;

interface Led {
  group: number;
  leading: boolean;
  whole: boolean;
  term: number;
  changes: number;
}

class World {
  readonly timers = new VirtualClock();
  readonly replicas: Led[] = [];
  readonly sent: { group: number; command: HostCommand }[] = [];
  took = 1;
  private counted = 0;
  index = 0;
  result: (replica: Led) => Checked | null = ({ changes }) => ({
    ...{ index: this.index, checksum: "sum", changes },
    took: this.took,
  });
  readonly comparisons = new Comparisons({
    node: NODE,
    interval: INTERVAL,
    replicas: () => this.replicas as unknown as Replica[],
    result: async (replica) => this.result(replica as unknown as Led),
    send: async (group, command) => {
      this.sent.push({ group, command });
      return ++this.index;
    },
    schedule: (delay, callback) => this.timers.schedule(delay, callback),
    now: () => this.timers.now,
  });

  constructor(groups: number) {
    for (let group = 1; group <= groups; group++) {
      this.replicas.push({ group, leading: true, whole: true, term: 1, changes: 1 });
    }
  }

  /** Lets time pass; how many comparisons were begun since it last did. */
  async pass(milliseconds: number): Promise<number> {
    const before = this.counted;
    for (let left = milliseconds; left > 0; left -= 100) {
      this.timers.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.counted = this.begun;
    return this.counted - before;
  }

  get begun(): number {
    return this.sent.filter(({ command }) => command.type === "begin").length;
  }
}

test("groups are compared once, and again only after they changed", async () => {
  const world = new World(3);
  const [first] = world.replicas as [Led];
  world.comparisons.start();
  expect(await world.pass(INTERVAL)).toBe(3);
  expect(await world.pass(10 * INTERVAL)).toBe(0);
  first.changes++;
  expect(await world.pass(10 * INTERVAL)).toBe(1);
  // One that changes all the time is compared once in an interval.
  let compared = 0;
  for (let second = 0; second < 60; second++) {
    first.changes++;
    compared += await world.pass(1_000);
  }
  expect(compared).toBe(60_000 / INTERVAL);
});

test("a new leader, a member that was started anew or rebuilt is a reason as well", async () => {
  const world = new World(2);
  const [first] = world.replicas as [Led];
  world.comparisons.start();
  expect(await world.pass(INTERVAL)).toBe(2);
  first.term++;
  expect(await world.pass(2 * INTERVAL)).toBe(1);
  world.comparisons.memberStartedAnew();
  expect(await world.pass(2 * INTERVAL)).toBe(2);
  world.comparisons.again(first as unknown as Replica);
  expect(await world.pass(2 * INTERVAL)).toBe(1);
  first.leading = false;
  first.changes++;
  expect(await world.pass(2 * INTERVAL)).toBe(0);
  first.leading = true;
  first.whole = false;
  expect(await world.pass(2 * INTERVAL)).toBe(0);
});

test("a leader claims what it had at the index, in its term, and only if it leads still", async () => {
  const world = new World(1);
  const [only] = world.replicas as [Led];
  world.comparisons.start();
  await world.pass(100);
  const claim = { index: 1, checksum: "sum", node: NODE, term: 1 };
  expect(world.sent.map(({ command }) => command)).toEqual([
    { type: "begin" },
    { type: "compare", ...claim },
  ]);
  const { result } = world;
  world.result = (replica) => {
    replica.term++;
    return result(replica);
  };
  only.changes++;
  await world.pass(INTERVAL + COMPARISON_LOOK_MS);
  expect(world.sent.at(-1)?.command).toEqual({ type: "begin" });
  // A state that was replaced meanwhile has no checksum; the next turn tries again.
  world.result = () => null;
  expect(await world.pass(INTERVAL)).toBe(1);
  expect(await world.pass(INTERVAL)).toBe(1);
  world.comparisons.stop();
  expect(await world.pass(10 * INTERVAL)).toBe(0);
});

test("few are under way at a time, and passes that take long are far apart", async () => {
  const world = new World(COMPARISONS_AT_ONCE_MAX + 3);
  const ends: (() => void)[] = [];
  const { result } = world;
  const waiting = new Comparisons({
    node: NODE,
    interval: INTERVAL,
    replicas: () => world.replicas as unknown as Replica[],
    result: (replica) =>
      new Promise((resolve) => ends.push(() => resolve(result(replica as unknown as Led)))),
    send: async (group, command) => world.sent.push({ group, command }),
    schedule: (delay, callback) => world.timers.schedule(delay, callback),
    now: () => world.timers.now,
  });
  waiting.start();
  expect(await world.pass(2_000)).toBe(COMPARISONS_AT_ONCE_MAX);
  world.took = 200;
  ends.shift()?.();
  expect(await world.pass(200 * COMPARISON_REST_FACTOR - 200)).toBe(0);
  expect(await world.pass(1_000)).toBe(1);
});
