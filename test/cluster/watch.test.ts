/** The watch of one or several nodes over a real fleet machine, in virtual time. */
import { describe, expect, test } from "vitest";
import { NodeWatch, type WatchCommand } from "../../ts/cluster/watch.ts";
import { nextTargets } from "../../ts/fleet/targets.ts";
import { PURGE_OBSERVED_MS, UNREACHABLE_AFTER_MS, WATCH_RETRY_MS } from "../../ts/limits.ts";
import { Fleet } from "../fleet/harness.ts";
import { Timers } from "./timers.ts";

const INTERVAL = 1_000;
const WINDOW = 600_000;

class World {
  readonly fleet: Fleet;
  readonly watches = new Map<number, NodeWatch>();
  readonly sent: { readonly at: number; readonly by: number; readonly command: WatchCommand }[] =
    [];
  leader = 1;
  time = 1_000_000;
  /** Does a command get lost? */
  loses: () => boolean = () => false;
  /** Do the groups' leaders confirm? */
  confirms = true;
  private readonly timers = new Timers();

  constructor(nodes: number) {
    this.fleet = Fleet.of(...Array.from({ length: nodes }, (_, at) => at + 1));
    for (let id = 1; id <= nodes; id++) this.watch(id);
  }

  watch(node: number): NodeWatch {
    const watch = new NodeWatch(
      {
        node,
        fleet: () => this.fleet.state,
        leadsFleet: () => this.leader === node,
        send: (command) => this.send(node, command),
        now: () => this.time,
        schedule: (delay, callback) => this.timers.add(this.time + delay, callback),
      },
      { balancingInterval: INTERVAL, nodePurgeFailureTimeWindow: WINDOW },
    );
    this.watches.set(node, watch);
    watch.start();
    return watch;
  }

  of(node: number): NodeWatch {
    return this.watches.get(node) as NodeWatch;
  }

  private send(by: number, command: WatchCommand): Promise<void> {
    return new Promise((resolve, reject) => {
      this.timers.add(this.time + 2, () => {
        this.sent.push({ at: this.time, by, command });
        if (this.loses()) return reject(new Error("lost"));
        this.change(() => this.fleet.send(command));
        resolve();
      });
    });
  }

  /** Changes the fleet, and has every node hear of it. */
  change(change: () => void): void {
    change();
    if (this.confirms) {
      this.timers.add(this.time + 5, () => {
        const { state } = this.fleet;
        this.fleet.confirmAll();
        if (this.fleet.state !== state) this.tellAll();
      });
    }
    this.tellAll();
  }

  private tellAll(): void {
    for (const watch of this.watches.values()) watch.fleetChanged();
  }

  lead(node: number): void {
    this.leader = node;
    for (const watch of this.watches.values()) watch.leaderChanged();
  }

  /** A node is cut off from the others, or back. */
  peer(node: number, reachable: boolean): void {
    for (const [id, watch] of this.watches) if (id !== node) watch.peerChanged(node, reachable);
  }

  async run(time: number): Promise<void> {
    const end = this.time + time;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.timers.next(end);
      if (next === undefined) break;
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
    this.time = end;
  }

  types(): string[] {
    return this.sent.map(({ command }) => command.type);
  }

  /** Brings everything in order, and forgets what was sent for it. */
  async settle(): Promise<void> {
    this.change(() => this.fleet.confirmAll());
    await this.run(60 * INTERVAL);
    expect(nextTargets(this.fleet.state, 1)).toEqual([]);
    this.sent.length = 0;
  }

  since(node: number): number | null | undefined {
    return this.fleet.state.nodes.get(node)?.unreachableSince;
  }
}

describe("watch", () => {
  test("balances one round each interval, and sends nothing while all is in order", async () => {
    const world = new World(3);
    await world.settle();
    world.change(() => {
      for (let at = 0; at < 200; at++) world.fleet.add(`g${at}`, `t${at}`);
      world.fleet.join(4);
    });
    await world.run(60 * INTERVAL);
    const rounds = world.sent.filter(({ command }) => command.type === "balance");
    expect(rounds.length).toBe(world.sent.length);
    expect(rounds.length).toBeGreaterThan(4);
    rounds.slice(1).forEach(({ at }, before) => {
      expect(at - (rounds[before]?.at ?? 0)).toBeGreaterThanOrEqual(INTERVAL);
    });
    expect(nextTargets(world.fleet.state, 1)).toEqual([]);
    world.sent.length = 0;
    await world.run(1_000 * INTERVAL);
    expect(world.sent).toEqual([]);
  });

  test("does not balance on while a target is not confirmed", async () => {
    const world = new World(3);
    await world.settle();
    world.fleet.add("g", "t", 1);
    world.fleet.confirmAll();
    world.confirms = false;
    const node = world.fleet.group("g").members[0] as number;
    world.change(() => world.fleet.send({ type: "leaveNode", node, now: world.time }));
    await world.run(100 * INTERVAL);
    expect(world.sent.length).toBe(1);
  });

  test("marks a node that stays away, not one that was away for a moment", async () => {
    const world = new World(3);
    await world.settle();
    world.peer(2, false);
    await world.run(UNREACHABLE_AFTER_MS - 10);
    world.peer(2, true);
    await world.run(10 * UNREACHABLE_AFTER_MS);
    expect(world.sent).toEqual([]);
    const { time } = world;
    world.peer(2, false);
    await world.run(10);
    // Told again, it is still away since then.
    world.peer(2, false);
    expect(world.of(1).isReachable(2)).toBe(false);
    await world.run(UNREACHABLE_AFTER_MS + 10);
    expect(world.since(2)).toBe(time);
    world.peer(2, true);
    await world.run(10);
    expect(world.since(2)).toBe(null);
    expect(world.types()).toEqual(["markUnreachable", "markReachable"]);
  });

  test("replaces a node after the window, and takes it back when it answers", async () => {
    const world = new World(4);
    world.fleet.add("g", "t");
    await world.settle();
    const gone = world.fleet.group("g").members.find((id) => id !== 1) as number;
    world.peer(gone, false);
    await world.run(WINDOW - 1_000);
    expect(world.types()).toEqual(["markUnreachable"]);
    await world.run(10_000);
    expect(world.types()).toContain("purgeNode");
    expect(world.fleet.state.nodes.has(gone)).toBe(false);
    expect(world.fleet.group("g").members).not.toContain(gone);
    world.change(() => world.fleet.join(gone));
    world.peer(gone, true);
    await world.run(10_000);
    expect(world.since(gone)).toBe(null);
    expect(world.fleet.state.nodes.get(gone)?.state).toBe("active");
  });

  test("a mark from before is not enough to replace a node", async () => {
    const world = new World(3);
    await world.settle();
    world.fleet.send({ type: "markUnreachable", node: 3, since: world.time - 2 * WINDOW });
    world.lead(2);
    await world.run(PURGE_OBSERVED_MS - 1_000);
    expect(world.sent).toEqual([]);
    world.peer(3, true);
    await world.run(2 * PURGE_OBSERVED_MS);
    expect(world.types()).toEqual(["markReachable"]);
    world.fleet.send({ type: "markUnreachable", node: 1, since: world.time - 2 * WINDOW });
    world.lead(3);
    await world.run(PURGE_OBSERVED_MS + 1_000);
    expect(world.types()).toContain("purgeNode");
  });

  test("every node says whom it misses, only the leader tells the fleet", async () => {
    const world = new World(3);
    await world.settle();
    const { time } = world;
    world.of(2).peerChanged(3, false);
    await world.run(10 * UNREACHABLE_AFTER_MS);
    expect(world.of(2).unreachable()).toEqual(new Map([[3, new Date(time)]]));
    expect(world.of(1).unreachable()).toEqual(new Map());
    expect(world.sent).toEqual([]);
    world.lead(2);
    await world.run(10);
    expect(world.sent.map(({ by, command }) => [by, command.type])).toEqual([
      [2, "markUnreachable"],
    ]);
    // A node that has not spoken to it yet believes the fleet; the one that is meant does not.
    expect(world.of(1).unreachable()).toEqual(new Map([[3, new Date(time)]]));
    expect(world.of(3).unreachable()).toEqual(new Map());
    world.of(1).peerChanged(3, true);
    expect(world.of(1).unreachable()).toEqual(new Map());
  });

  test("a node that left and comes back counts as reachable, whenever it was heard to go", async () => {
    const world = new World(3);
    await world.settle();
    const leave = { type: "leaveNode", node: 3, now: world.time } as const;
    world.peer(3, false);
    world.change(() => world.fleet.send(leave));
    await world.settle();
    expect(world.fleet.state.nodes.has(3)).toBe(false);
    world.peer(3, false);
    world.change(() => world.fleet.join(3, ["m"], 2));
    expect(world.of(1).isReachable(3)).toBe(true);
    expect(world.of(2).isReachable(3)).toBe(true);
    world.peer(3, false);
    expect(world.of(1).isReachable(3)).toBe(false);
  });

  test("a leader that is marked itself says that it is there", async () => {
    const world = new World(3);
    await world.settle();
    world.fleet.send({ type: "markUnreachable", node: 2, since: world.time });
    world.lead(2);
    await world.run(10);
    expect(world.since(2)).toBe(null);
  });

  test("sends again what was lost, and ends when it does not lead", async () => {
    const world = new World(3);
    await world.settle();
    let losses = 3;
    world.loses = () => losses-- > 0;
    world.peer(3, false);
    await world.run(UNREACHABLE_AFTER_MS + 10 * WATCH_RETRY_MS);
    expect(world.types()).toEqual(Array.from({ length: 4 }, () => "markUnreachable"));
    losses = 2;
    world.peer(3, true);
    await world.run(10 * WATCH_RETRY_MS);
    expect(world.since(3)).toBe(null);
    world.loses = () => true;
    world.peer(3, false);
    await world.run(UNREACHABLE_AFTER_MS + 2 * WATCH_RETRY_MS);
    world.leader = 0;
    await world.run(WATCH_RETRY_MS);
    world.sent.length = 0;
    await world.run(100 * WATCH_RETRY_MS);
    expect(world.sent).toEqual([]);
    world.of(1).stop();
    world.leader = 1;
    world.of(1).leaderChanged();
    await world.run(100 * WATCH_RETRY_MS);
    expect(world.sent).toEqual([]);
  });

  test("ends with the truth, whatever happened before", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      let state = seed;
      const random = (below: number) => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return (state >>> 8) % below;
      };
      const world = new World(5);
      world.loses = () => random(5) === 0;
      await world.run(20 * INTERVAL);
      const away = new Set<number>();
      for (let step = 0; step < 60; step++) {
        const node = 1 + random(5);
        const chance = random(3);
        if (chance === 0 && away.size < 2) away.add(node);
        else if (chance === 1) away.delete(node);
        world.peer(node, !away.has(node));
        const there = [1, 2, 3, 4, 5].filter((id) => !away.has(id));
        if (random(4) === 0 || away.has(world.leader)) {
          world.lead(there[random(there.length)] as number);
        }
        await world.run(random(2 * UNREACHABLE_AFTER_MS));
      }
      await world.run(20 * INTERVAL);
      const marked = [1, 2, 3, 4, 5].filter((id) => world.since(id) !== null);
      expect(marked, `seed ${seed}`).toEqual([...away].sort());
      world.sent.length = 0;
      await world.run(100 * INTERVAL);
      expect(world.sent, `seed ${seed}`).toEqual([]);
    }
  });
});
