/** The workers of a whole cluster in virtual time, with failures of every kind. */
import { describe, expect, test } from "vitest";
import { nextStep, type StepInput } from "../../ts/cluster/membership-steps.ts";
import { placeGroup } from "../../ts/fleet/placement.ts";
import { FLEET_NAME, type FleetGroup, groupById } from "../../ts/fleet/state.ts";
import { nextTargets } from "../../ts/fleet/targets.ts";
import { MEMBERSHIP_INTERVAL_MS } from "../../ts/limits.ts";
import { Fleet } from "../fleet/harness.ts";
import { Simulation } from "./simulation.ts";

const ZONES = ["a", "b", "c"] as const;
const zone = (id: number) => ZONES[id % 3] as string;

function start(seed: number, nodes: number, groups: number): Simulation {
  const world = new Simulation(seed);
  world.tell({ type: "foundCluster", clusterId: "c", founder: 1 });
  world.join(1, zone(1));
  world.found(world.fleet.groups.get(FLEET_NAME) as FleetGroup, 1);
  for (let id = 2; id <= nodes; id++) world.join(id, zone(id));
  for (let at = 0; at < groups; at++) {
    const name = `g${at}`;
    const group = { name, token: name, module: "m", settings: {}, replicas: 1 + (at % 5) };
    world.tell({ type: "addGroup", ...group, system: at === 0 });
  }
  return world;
}

/** Balances until everything is where it should be. */
async function settle(world: Simulation): Promise<void> {
  const rounds = 400;
  for (let round = 0; round < rounds; round++) {
    world.grow(10);
    await world.run(200);
    if (nextTargets(world.fleet, 1).length > 0) world.tell({ type: "balance", limit: 8 });
    else if (world.isSettled()) return;
  }
  const wrong = [...world.fleet.groups.values()].filter(
    (group) => group.confirmed !== group.version || world.rafts.get(group.id)?.leader === 0,
  );
  const rafts = wrong.map(({ id }) => world.rafts.get(id));
  throw new Error(
    `seed ${world.seed}: not settled: ${JSON.stringify(wrong)} ${JSON.stringify(rafts)}`,
  );
}

function disturb(world: Simulation): void {
  const ids = [...world.nodes.keys()];
  const dead = ids.filter((id) => !world.isAlive(id));
  const chance = world.random();
  const { time: now } = world;
  if (chance < 0.15 && dead.length < 2) {
    world.die(world.pick(ids));
  } else if (chance < 0.3 && dead.length > 0) {
    world.revive(world.pick(dead));
  } else if (chance < 0.4 && ids.length < 9) {
    const id = Math.max(...ids) + 1;
    world.join(id, zone(id));
  } else if (chance < 0.45 && ids.length > 4) {
    const node = world.pick(ids.filter((id) => world.isAlive(id)));
    if (world.fleet.nodes.get(node)?.state === "active") {
      world.tell({ type: "leaveNode", node, now });
    }
  } else if (chance < 0.5 && dead.length > 0) {
    world.tell({ type: "purgeNode", node: world.pick(dead), window: 300, now });
  } else if (chance < 0.7) {
    world.disturb(world.pick([...world.rafts.values()]));
  }
}

async function story(seed: number): Promise<Simulation> {
  const world = start(seed, 3, 12);
  world.failing = 0.15;
  for (let step = 0; step < 60; step++) {
    world.grow(Math.floor(world.random() * 100));
    await world.run(world.random() * 150);
    disturb(world);
    world.tell({ type: "balance", limit: 3 });
  }
  for (const id of world.nodes.keys()) world.revive(id);
  await world.run(200);
  world.failing = 0.02;
  await settle(world);
  return world;
}

describe("membership", () => {
  const { MEMBERSHIP_SEED, MEMBERSHIP_SEEDS } = process.env;
  const first = Number(MEMBERSHIP_SEED ?? 1);
  const count = Number(MEMBERSHIP_SEEDS ?? 20);
  test(`groups reach their targets through failures, from seed ${first} on`, async () => {
    const counts = { joint: 0, transfers: 0, lost: 0, kept: 0 };
    for (let seed = first; seed < first + count; seed++) {
      const world = await story(seed);
      for (const key of Object.keys(counts) as (keyof typeof counts)[]) {
        counts[key] += world.counts[key];
      }
      const active = [...world.fleet.nodes.values()].filter(({ state }) => state === "active");
      expect(active.length, `seed ${seed}`).toBe(world.fleet.nodes.size);
      for (const { id, replicas, system, members, leaving } of world.fleet.groups.values()) {
        if (system) continue;
        expect(members, `seed ${seed}`).toEqual(placeGroup(id, replicas, active));
        expect(leaving, `seed ${seed}`).toEqual([]);
      }
    }
    // The stories were about something.
    expect(counts.joint).toBeGreaterThan(20 * count);
    expect(counts.transfers).toBeGreaterThan(count);
    expect(counts.kept).toBeGreaterThan(0);
    expect(counts.lost).toBe(0);
  });

  test("a thousand groups in order cost no call", async () => {
    const world = start(7, 3, 1_000);
    await settle(world);
    const { calls } = world;
    await world.run(20 * MEMBERSHIP_INTERVAL_MS);
    expect(world.calls).toBe(calls);
    // Only the group that has something to do is looked at.
    const moved = [...world.fleet.groups.values()].find(
      ({ members }) => members.length === 3,
    ) as FleetGroup;
    const heir = moved.members[1] as number;
    const raft = world.rafts.get(moved.id) as NonNullable<ReturnType<typeof world.rafts.get>>;
    raft.leader = heir;
    world.node(heir).worker.leaderChanged(moved.id);
    await world.run(5_000);
    expect(raft.leader).toBe(moved.members[0]);
    expect(world.calls - calls).toBeLessThan(20);
  });
});

describe("the next step", () => {
  function input(
    voters: number[],
    learners: number[],
    change: Partial<StepInput> & { changing?: boolean; behind?: number[] } = {},
  ): StepInput {
    const { changing = false, behind = [], ...rest } = change;
    const fleet = Fleet.of(1, 2, 3, 4);
    fleet.add("g", "t");
    const group = { ...(groupById(fleet.state, 2) as FleetGroup), members: [1, 2, 3] };
    const member = (voter: boolean) => (node: number) => ({
      ...{ node, address: `a${node}`, voter, matching: behind.includes(node) ? 10 : 1000 },
    });
    const members = [...voters.map(member(true)), ...learners.map(member(false))];
    return {
      ...{ node: 1, fleet: fleet.state, group, confirmed: false, reachable: () => true },
      status: {
        ...{ role: "leader", term: 1, leader: 1, changing, lastIndex: 1000, bound: true },
        ...{ lastTerm: 1, voterSets: [voters] },
        members,
      },
      ...rest,
    };
  }

  test("adds, waits, replaces by one change, confirms", () => {
    expect(nextStep(input([1, 2, 4], []))).toEqual({
      type: "addLearner",
      member: { node: 3, address: "a3" },
    });
    expect(nextStep(input([1, 2, 4], [3], { behind: [3] }))).toEqual({
      type: "waitForMember",
      node: 3,
    });
    expect(nextStep(input([1, 2, 4], [3]))).toEqual({
      type: "changeMembers",
      voters: [1, 2, 3],
      learners: [],
    });
    expect(nextStep(input([1, 2, 3], []))).toEqual({ type: "confirm" });
    expect(nextStep(input([1, 2, 3], [], { confirmed: true }))).toEqual({ type: "done" });
  });

  test("finishes a change that was left half done, and removes who should be gone", () => {
    const change = { type: "changeMembers", voters: [1, 2, 3], learners: [] };
    expect(nextStep(input([1, 2, 3, 4], [], { changing: true }))).toEqual(change);
    expect(nextStep(input([1, 2, 3], [], { changing: true }))).toEqual(change);
    expect(nextStep(input([1, 2, 3], [4]))).toEqual(change);
  });

  test("waits where a change would take the majority away", () => {
    const reachable = (node: number) => node === 1 || node === 3;
    expect(nextStep(input([1, 2, 4], [3], { reachable }))).toMatchObject({ type: "wait" });
    const two = (node: number) => node !== 2;
    expect(nextStep(input([1, 2, 4], [3], { reachable: two }))).toEqual({
      type: "changeMembers",
      voters: [1, 2, 4, 3],
      learners: [],
    });
  });

  test("gives a target up only once the fleet knows that the new member is gone", () => {
    const reachable = (node: number) => node !== 3;
    const lost = input([1, 2, 4], [], { reachable });
    expect(nextStep(lost)).toMatchObject({ type: "wait" });
    const node = lost.fleet.nodes.get(3);
    const nodes = new Map(lost.fleet.nodes).set(3, { ...node, unreachableSince: 5 } as never);
    const known = { ...lost, fleet: { ...lost.fleet, nodes } };
    expect(nextStep(known)).toEqual({ type: "keep", voters: [1, 2, 4] });
  });

  test("hands over to who should lead, and before it leaves", () => {
    const led = { confirmed: true, node: 2 };
    expect(nextStep(input([1, 2, 3], [], led))).toEqual({ type: "transfer", to: 1 });
    expect(nextStep(input([1, 2, 3], [], { ...led, behind: [1] }))).toMatchObject({ type: "wait" });
    expect(nextStep(input([1, 2, 4], [], { node: 4 }))).toEqual({ type: "transfer", to: 1 });
  });
});
