/** Nodes that hold a replica in quarantine get their leader's state, or hand leadership over. */
import { expect, test } from "vitest";
import type { CallHandler, CallMessage } from "../../ts/cluster/calls.ts";
import { Rebuilds } from "../../ts/cluster/rebuilds.ts";
import { RaftKVError } from "../../ts/errors.ts";
import type { Difference } from "../../ts/host/checks.ts";
import type { Replica } from "../../ts/host/replica.ts";
import {
  REBUILD_IDLE_MS_MAX,
  REBUILD_RETRY_MS,
  REBUILDS_SENT_AT_ONCE_MAX,
} from "../../ts/limits.ts";
import { VirtualClock } from "./timers.ts";

const GROUP = 7;
const DIFFERENCE: Difference = { index: 5, checksum: "a", own: "b", node: 1, term: 1 };

/** What a replica is to those who rebuild it. */
interface Stub {
  group: number;
  name: string;
  leading: boolean;
  whole: boolean;
  applied: number;
  leader: number;
  term: number;
  quarantine: { from: number; trust(): void } | null;
  preamble(): Uint8Array;
  machine: { snapshot(): { next(): Uint8Array | null; close(): void } };
}

/** Nodes 1, 2 and 3, of which 1 leads. */
class World {
  readonly timers = new VirtualClock();
  readonly handlers = new Map<number, Map<string, CallHandler>>();
  readonly rebuilds = new Map<number, Rebuilds>();
  readonly replicas = new Map<number, Stub>();
  readonly installed: { node: number; index: number; bytes: number[] }[] = [];
  readonly log: string[] = [];
  readonly down = new Set<number>();
  open = 0;

  constructor() {
    for (const node of [1, 2, 3]) this.add(node);
  }

  async settle(milliseconds = 0): Promise<void> {
    for (let left = milliseconds; left >= 0; left -= 50) {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (left > 0) this.timers.advance(50);
    }
  }

  replica(node: number): Stub {
    return this.replicas.get(node) as Stub;
  }

  quarantine(node: number): void {
    const replica = this.replica(node);
    const release = () => {
      replica.quarantine = null;
      replica.whole = true;
    };
    replica.whole = false;
    replica.quarantine = {
      from: 10,
      trust: () => {
        this.log.push(`${node} trusts itself`);
        release();
      },
    };
  }

  begin(node: number): void {
    this.rebuilds.get(node)?.begin(this.replica(node) as unknown as Replica, DIFFERENCE);
  }

  async call(from: number, to: number, message: CallMessage): Promise<unknown> {
    const handler = this.handlers.get(to)?.get(message.type);
    if (this.down.has(to) || handler === undefined) throw new RaftKVError("NO_LEADER", "down");
    return handler(message, { node: from, incarnation: 1, isMember: true });
  }

  private add(node: number): void {
    const handlers = new Map<string, CallHandler>();
    this.handlers.set(node, handlers);
    const pieces = () => [[2], [3], [4]].map((piece) => Uint8Array.from(piece));
    this.replicas.set(node, {
      ...{ group: GROUP, name: "group", leading: node === 1, whole: true },
      ...{ applied: 12, leader: 1, term: 1, quarantine: null },
      preamble: () => Uint8Array.from([1]),
      machine: {
        snapshot: () => {
          const left = pieces();
          this.open++;
          return { next: () => left.shift() ?? null, close: () => this.open-- };
        },
      },
    });
    const calls = {
      call: (to: number, message: CallMessage) => this.call(node, to, message),
      handle: (type: string, handler: CallHandler) => void handlers.set(type, handler),
    };
    const ports = {
      ...{ node, calls },
      replica: () => this.replica(node) as unknown as Replica,
      voters: () => [1, 2, 3],
      rebuild: async (_replica: Replica, index: number, all: readonly Uint8Array[]) => {
        const replica = this.replica(node);
        if (replica.quarantine === null || index < replica.quarantine.from) return false;
        this.installed.push({ node, index, bytes: all.flatMap((piece) => [...piece]) });
        replica.quarantine = null;
        replica.whole = true;
        return true;
      },
      transferLeader: async (_group: number, to: number) => {
        this.log.push(`${node} hands over to ${to}`);
        this.replica(node).leader = to;
      },
      told: (_replica: Replica, other: number, { index }: Difference) =>
        void this.log.push(`${node} is told that ${other} differs at ${index}`),
      rebuilt: () => void this.log.push(`${node} is told of a rebuilt replica`),
      schedule: (delay: number, callback: () => void) => this.timers.schedule(delay, callback),
      warn: (message: string) => void this.log.push(`${node} warns: ${message.slice(0, 20)}`),
    };
    this.rebuilds.set(node, new Rebuilds(ports));
  }
}

test("a replica gets its leader's state, which is told twice: that it differs, that it is rebuilt", async () => {
  const world = new World();
  world.quarantine(2);
  world.begin(2);
  await world.settle();
  expect(world.installed).toEqual([{ node: 2, index: 12, bytes: [1, 2, 3, 4] }]);
  expect(world.log).toEqual(["1 is told that 2 differs at 5", "1 is told of a rebuilt replica"]);
  expect(world.open).toBe(0);
});

test("without a leader, or one that has got as far, it is tried again", async () => {
  const world = new World();
  world.quarantine(2);
  world.down.add(1);
  world.begin(2);
  await world.settle(5 * REBUILD_RETRY_MS);
  world.down.clear();
  world.replica(1).applied = 9;
  await world.settle(5 * REBUILD_RETRY_MS);
  world.replica(1).whole = false;
  world.replica(1).applied = 13;
  await world.settle(5 * REBUILD_RETRY_MS);
  expect(world.installed).toEqual([]);
  world.replica(1).whole = true;
  await world.settle(5 * REBUILD_RETRY_MS);
  expect(world.installed.map(({ index }) => index)).toEqual([13]);
});

test("what a node gives to others at a time is bounded, and ends when nobody takes it", async () => {
  const world = new World();
  const ask = () => world.call(3, 1, { type: "replicaState", group: GROUP, from: 0 });
  for (let given = 0; given < REBUILDS_SENT_AT_ONCE_MAX; given++) await ask();
  await expect(ask()).rejects.toMatchObject({ code: "OVERLOADED" });
  expect(world.open).toBe(REBUILDS_SENT_AT_ONCE_MAX);
  await world.settle(REBUILD_IDLE_MS_MAX + 100);
  expect(world.open).toBe(0);
  const { sending } = (await ask()) as { sending: number };
  const piece = (from: number) => world.call(from, 1, { type: "replicaPiece", sending });
  await expect(piece(2)).rejects.toMatchObject({ code: "NO_LEADER" });
  expect(await piece(3)).toEqual(Uint8Array.from([2]));
  world.rebuilds.get(1)?.stop();
  expect(world.open).toBe(0);
});

test("one that is elected in quarantine hands over to a member that is not", async () => {
  const world = new World();
  world.quarantine(2);
  Object.assign(world.replica(2), { leader: 2, term: 2 });
  world.down.add(1);
  await world.rebuilds.get(2)?.elected(world.replica(2) as unknown as Replica);
  expect(world.log).toEqual(["2 hands over to 3"]);
});

test("where no other can lead, the one that is elected counts", async () => {
  const world = new World();
  for (const node of [2, 3]) world.quarantine(node);
  Object.assign(world.replica(2), { leader: 2, term: 2 });
  world.down.add(1);
  await world.rebuilds.get(2)?.elected(world.replica(2) as unknown as Replica);
  expect(world.log.at(-1)).toBe("2 trusts itself");
  // The other one becomes what that is.
  Object.assign(world.replica(2), { leading: true, applied: 20 });
  world.replica(3).leader = 2;
  world.begin(3);
  await world.settle();
  expect(world.installed).toEqual([{ node: 3, index: 20, bytes: [1, 2, 3, 4] }]);
});
