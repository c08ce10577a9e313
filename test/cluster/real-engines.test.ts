/**
 * The workers on real engines of one process that talk over loopback. The fleet's state is shared
 * in memory, so that what is tried here is members and leaders alone.
 */
import { afterEach, expect, test } from "vitest";
import { GroupMembership } from "../../ts/cluster/membership.ts";
import { placeGroup } from "../../ts/fleet/placement.ts";
import { type FleetGroup, groupsOfNode } from "../../ts/fleet/state.ts";
import { nextTargets, sameNodes } from "../../ts/fleet/targets.ts";
import { Host } from "../../ts/host/host.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { type NativeEngine, openEngine } from "../../ts/native/engine.ts";
import { Fleet } from "../fleet/harness.ts";

const DESCRIPTOR = new TextEncoder().encode("m");
const MODULE = {
  init: () => 0,
  command: (state: number): [number, number] => [state, state],
  query: (state: number) => state,
};

class World {
  readonly fleet = new Fleet();
  readonly nodes = new Map<number, RealNode>();
  private telling = false;

  /** Has every node look at the fleet again, once what runs now has ended. */
  tellAll(): void {
    if (this.telling) return;
    this.telling = true;
    setImmediate(() => {
      this.telling = false;
      for (const node of this.nodes.values()) node.look();
    });
  }

  async add(): Promise<RealNode> {
    const node = await RealNode.open(this);
    this.nodes.set(node.id, node);
    const { id, address } = node;
    this.fleet.send({
      type: "joinNode",
      node: {
        ...{ id, name: `n${id}`, zone: "z", address, version: "0", incarnation: 1 },
        modules: ["m"],
      },
      now: 0,
    });
    this.tellAll();
    return node;
  }

  async close(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.close()));
  }

  groups(): FleetGroup[] {
    return [...this.fleet.state.groups.values()];
  }

  /** Balances until every group is in place and led by the first of its members. */
  async settle(): Promise<void> {
    for (;;) {
      this.fleet.send({ type: "balance", limit: 4 });
      this.tellAll();
      await until(() => this.groups().every((group) => group.confirmed === group.version));
      if (nextTargets(this.fleet.state, 1).length === 0) break;
    }
    await until(() => this.groups().every(({ id, members }) => this.node(members[0]).leads(id)));
    for (const { id, members } of this.groups()) {
      const status = await this.node(members[0]).engine.groupStatus(id);
      const voters = status.members.filter(({ voter }) => voter).map(({ node }) => node);
      expect(sameNodes(voters, members)).toBe(true);
      expect(status.members.length).toBe(members.length);
      const nodes = [...this.fleet.state.nodes.values()].filter(({ state }) => state === "active");
      expect(members).toEqual(placeGroup(id, 3, nodes));
    }
  }

  node(id: number | undefined): RealNode {
    const node = this.nodes.get(id ?? 0);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }
}

class RealNode {
  readonly world: World;
  readonly engine: NativeEngine;
  readonly id: number;
  readonly removed: number[] = [];
  address = "";
  private readonly host: Host;
  private readonly worker: GroupMembership;
  private readonly created = new Set<number>();
  private readonly away = new Set<number>();
  private closed = false;

  static async open(world: World): Promise<RealNode> {
    const openedAt = performance.now();
    let node: RealNode | undefined;
    const engine = await openEngine(
      {
        ...{ dataDir: ":memory:", durability: "fsync", clusterName: "membership" },
        ...{ heartbeatInterval: 100, electionTimeout: 500, logLevel: "error" },
      },
      (bytes, more) => node?.host.receive(bytes, more),
    );
    node = new RealNode(world, engine, openedAt);
    node.address = await engine.listen({ listen: "127.0.0.1:0" });
    await engine.setCluster(77);
    node.worker.start();
    return node;
  }

  private constructor(world: World, engine: NativeEngine, openedAt: number) {
    this.world = world;
    this.engine = engine;
    const identity = engine.identity();
    this.id = identity.node;
    this.host = new Host(engine, identity, openedAt, {
      settled: () => undefined,
      refused: () => undefined,
      leaderChanged: ({ group }) => this.worker.leaderChanged(group),
      replicaFailed: (_replica, error) => {
        throw error;
      },
      storageFailed: () => undefined,
      logged: () => undefined,
      memberWanted: (group) => {
        this.attach(group);
        void engine.bindGroup(group);
      },
      memberRemoved: (group) => this.removed.push(group),
      peerChanged: (node, state) => {
        if (state === "down") this.away.add(node);
        else this.away.delete(node);
        this.worker.fleetChanged();
      },
    });
    const { fleet } = world;
    const send = async (command: Parameters<Fleet["send"]>[0]) => {
      fleet.send(command);
      world.tellAll();
    };
    this.worker = new GroupMembership({
      node: this.id,
      engine,
      fleet: () => fleet.state,
      leads: (group) => this.leads(group),
      reachable: (node) => !this.away.has(node),
      confirmMembers: (group, version, members) =>
        send({ type: "confirmMembers", group, version, members }),
      keepMembers: (group, version, members) =>
        send({ type: "keepMembers", group, version, members }),
      schedule: (delay, callback) => {
        const timer = setTimeout(callback, delay);
        return () => clearTimeout(timer);
      },
      warn: () => undefined,
    });
  }

  leads(group: number): boolean {
    return this.host.replica(group)?.leading === true;
  }

  look(): void {
    if (this.closed) return;
    for (const { id, created, members } of this.world.groups()) {
      if (created || members[0] !== this.id || this.created.has(id)) continue;
      this.created.add(id);
      this.attach(id);
      const addresses = members.map((node) => ({ node, address: this.world.node(node).address }));
      void this.engine.createGroupWith(id, DESCRIPTOR, addresses);
    }
    this.worker.fleetChanged();
  }

  private attach(group: number): void {
    if (this.host.replica(group) === undefined) {
      this.host.attach(group, `g${group}`, () => new DataMachine(MODULE));
    }
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.worker.stop();
    await this.engine.close();
    this.host.close();
  }
}

/** Waits for something that will hold; the test's own time limit ends a wait in vain. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

test("members and leaders follow the fleet: nodes join, leave and are replaced", async () => {
  world = new World();
  const { fleet } = world;
  const first = await world.add();
  for (let at = 0; at < 6; at++) fleet.add(`g${at}`, `t${at}`);
  await world.settle();
  const others = [await world.add(), await world.add()];
  await world.settle();
  for (const { members } of world.groups()) expect(members.length).toBe(3);

  await world.add();
  await world.settle();
  const held = groupsOfNode(fleet.state, first.id).map(({ id }) => id);
  expect(held.length).toBeGreaterThan(0);
  fleet.send({ type: "leaveNode", node: first.id, now: 1 });
  await world.settle();
  expect(fleet.state.nodes.has(first.id)).toBe(false);
  await until(() => held.every((id) => first.removed.includes(id)));
  await first.close();

  const fifth = await world.add();
  await world.settle();
  const dead = others[0] as RealNode;
  await dead.close();
  fleet.send({ type: "markUnreachable", node: dead.id, since: 0 });
  fleet.send({ type: "purgeNode", node: dead.id, window: 5, now: 5 });
  await world.settle();
  expect(fleet.state.nodes.has(dead.id)).toBe(false);
  expect(groupsOfNode(fleet.state, fifth.id).length).toBe(6);
}, 60_000);
