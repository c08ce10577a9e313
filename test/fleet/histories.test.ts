/** Whatever happens to a fleet, in whatever order: what always holds, and where it ends. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../ts/codec/value.ts";
import type { FleetCommand } from "../../ts/fleet/commands.ts";
import { placeGroup, systemVoters } from "../../ts/fleet/placement.ts";
import type { FleetGroup, FleetState } from "../../ts/fleet/state.ts";
import { FLEET_NAME, groupsOfNode, isPartOf, isReachable } from "../../ts/fleet/state.ts";
import { majority, preferring, sameNodes } from "../../ts/fleet/targets.ts";
import { Fleet } from "./harness.ts";

const WINDOW = 100;
const ZONES = ["a", "b", "c"];

const node = fc.integer({ min: 1, max: 8 });
// "j" is a system group that may be added; FLEET_NAME is one that is there from the start.
const name = fc.constantFrom<string[]>("g", "h", "i", "j");
const any = fc.constantFrom<string[]>("g", "h", "i", "j", FLEET_NAME);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("join" as const), node, bound: node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("bind" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), node }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("lose" as const), node }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("find" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("purge" as const), node }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("add" as const),
      name,
      replicas: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("drain" as const), node, drained: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("prefer" as const), name: any, node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("removed" as const), name, node }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("confirm" as const), name: any }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("confirm all" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("keep" as const), name: any }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("late" as const), name }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("balance" as const),
      limit: fc.integer({ min: 1, max: 3 }),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A fleet that checks itself after each command. */
class Watched extends Fleet {
  private now = 0;
  private tokens = 0;
  private readonly incarnations = new Map<number, number>();
  /** The voters as they are, per group; a group's leader moves them to its target. */
  private readonly settled = new Map<number, readonly number[]>();
  private readonly owners = new Map<number, string>();

  take(one: Step): void {
    if (one.do === "confirm all") {
      for (const { name } of this.state.groups.values()) this.take({ do: "confirm", name });
      return;
    }
    const command = this.command(one);
    if (command === undefined) return;
    const before = this.state;
    this.send(command);
    checkStep(before, this.state, command);
    checkState(this.state);
    for (const { id, token } of this.state.groups.values()) {
      expect(this.owners.get(id) ?? token).toBe(token);
      this.owners.set(id, token);
    }
    if (command.type === "balance") return;
    const once = this.state;
    this.send(command);
    expect(this.state).toEqual(once);
  }

  private command(one: Exclude<Step, { do: "confirm all" }>): FleetCommand | undefined {
    this.now += WINDOW / 2;
    const { now } = this;
    switch (one.do) {
      case "join":
        return this.joining(one.node, one.bound === 1 ? [] : ["m"]);
      case "bind":
        return { type: "bindModules", node: one.node, modules: ["m"] };
      case "leave":
        return { type: "leaveNode", node: one.node, now };
      case "lose":
        return { type: "markUnreachable", node: one.node, since: now };
      case "find":
        return { type: "markReachable", node: one.node, now };
      case "purge":
        return { type: "purgeNode", node: one.node, window: WINDOW, now };
      case "add": {
        const token = `t${this.tokens++}`;
        const { name, replicas } = one;
        const system = name === "j";
        return { type: "addGroup", name, replicas, system, module: "m", settings: {}, token };
      }
      case "drain":
        return { type: "drainNode", node: one.node, drained: one.drained };
      case "prefer":
        return { type: "preferLeader", name: one.name, node: one.node };
      case "remove":
        return { type: "removeGroup", name: one.name };
      case "balance":
        return { type: "balance", limit: one.limit };
      default:
        return this.ofGroup(one);
    }
  }

  private ofGroup(one: Step & { name: string }): FleetCommand | undefined {
    const group = this.state.groups.get(one.name);
    if (group === undefined) return undefined;
    const { id, version, members } = group;
    switch (one.do) {
      case "removed":
        return { type: "confirmRemoved", group: id, node: one.node };
      case "confirm":
        if (group.state === "active") this.settled.set(id, members);
        return { type: "confirmMembers", group: id, version, members };
      case "keep": {
        const settled = this.settled.get(id);
        if (settled === undefined) return undefined;
        return { type: "keepMembers", group: id, version, members: settled };
      }
      default:
        return { type: "confirmMembers", group: id, version: version - 1, members };
    }
  }

  private joining(id: number, modules: string[]): FleetCommand {
    const incarnation = (this.incarnations.get(id) ?? 0) + 1;
    this.incarnations.set(id, incarnation);
    const zone = ZONES[id % ZONES.length] as string;
    const node = {
      ...{ id, name: `n${id}`, zone, address: `a${id}`, version: "0", incarnation, modules },
    };
    return { type: "joinNode", node, now: this.now };
  }
}

function without(all: readonly number[], some: readonly number[]): number[] {
  return all.filter((one) => !some.includes(one));
}

/** What a command may do to the groups. */
function checkStep(before: FleetState, after: FleetState, command: FleetCommand): void {
  expect(after.nextGroup).toBeGreaterThanOrEqual(before.nextGroup);
  let retargeted = 0;
  for (const next of after.groups.values()) {
    const known = before.groups.get(next.name);
    if (known?.id !== next.id) {
      expect(next.id).toBeGreaterThanOrEqual(before.nextGroup);
      continue;
    }
    if (next.state === "removing") continue;
    if (known.version === next.version) {
      expect([next.members, next.learners]).toEqual([known.members, known.learners]);
      continue;
    }
    retargeted++;
    expect(next.version).toBe(known.version + 1);
    checkChange(before, known, next, command.type);
  }
  if (command.type === "balance") expect(retargeted).toBeLessThanOrEqual(command.limit);
  for (const id of before.nodes.keys()) {
    if (after.nodes.has(id)) continue;
    expect(before.nodes.get(id)?.state === "leaving" || command.type === "leaveNode").toBe(true);
    for (const group of after.groups.values()) expect(isPartOf(group, id)).toBe(false);
  }
}

function checkChange(state: FleetState, known: FleetGroup, next: FleetGroup, by: string): void {
  const all = [...known.members, ...known.learners];
  const then = [...next.members, ...next.learners];
  for (const [from, to] of [
    [all, then],
    [known.members, next.members],
  ] as const) {
    expect(without(from, to).length).toBeLessThanOrEqual(1);
    expect(without(to, from).length).toBeLessThanOrEqual(1);
  }
  if (by !== "balance") return;
  for (const id of without(then, all)) {
    const node = state.nodes.get(id);
    expect(node).toMatchObject({ state: "active", unreachableSince: null });
  }
  if (!known.created) {
    expect(sameNodes(known.members, next.members)).toBe(true);
    return;
  }
  expect(known.confirmed).toBe(known.version);
  if (sameNodes(known.members, next.members)) return;
  const answers = (ids: readonly number[]) => ids.filter((id) => isReachable(state, id));
  expect(answers(known.members).length).toBeGreaterThanOrEqual(majority(known.members.length));
  expect(answers(next.members).length).toBeGreaterThanOrEqual(majority(next.members.length));
  const kept = answers(next.members).filter((id) => known.members.includes(id));
  const smaller = Math.min(known.members.length, next.members.length);
  expect(kept.length).toBeGreaterThanOrEqual(majority(smaller));
}

/** What holds at any time. */
function checkState(state: FleetState): void {
  for (const group of state.groups.values()) {
    const { members, learners, leaving, confirmed, version, created } = group;
    const all = [...members, ...learners, ...leaving];
    expect(new Set(all).size).toBe(all.length);
    expect(members.length).toBeGreaterThan(0);
    expect(confirmed).toBeLessThanOrEqual(version);
    expect(created).toBe(confirmed > 0);
    for (const id of all) {
      if (id !== 1 || state.nodes.size > 0) expect(state.nodes.has(id)).toBe(true);
    }
  }
}

/** Does the fleet know a majority of a group's voters to answer? */
function isAlive(state: FleetState, { members }: FleetGroup): boolean {
  return members.filter((id) => isReachable(state, id)).length >= majority(members.length);
}

function checkPlaced(state: FleetState): void {
  const active = [...state.nodes.values()].filter((one) => one.state === "active");
  for (const group of state.groups.values()) {
    if (group.state !== "active" || !isAlive(state, group) || active.length === 0) continue;
    const bound = active.filter((one) => group.id === 1 || one.modules.includes("m"));
    if (bound.length === 0) continue;
    const undrained = bound.filter((one) => !one.drained);
    const open = undrained.length > 0 ? undrained : bound;
    const voters = group.system ? systemVoters(open.length) : group.replicas;
    expect(group.members).toEqual(preferring(group.preferred, placeGroup(group.id, voters, open)));
    const ids = bound.map(({ id }) => id);
    const watching = without(group.learners, ids);
    // A node that leaves follows as long as other groups do not let it go.
    for (const id of watching) {
      const held = groupsOfNode(state, id).filter((other) => other.id !== group.id);
      expect(state.nodes.get(id)).toMatchObject({ state: "leaving", purged: false });
      expect(held.length).toBeGreaterThan(0);
    }
    const following = without([...group.members, ...group.learners], watching);
    if (group.system) expect(sameNodes(following, ids)).toBe(true);
    else expect(group.learners).toEqual([]);
    expect(group.leaving).toEqual([]);
  }
}

describe("histories", () => {
  test("change one member at a time, keep majorities, and end at the placement", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
        const fleet = new Watched();
        fleet.send({ type: "foundCluster", clusterId: "c", founder: 1 });
        for (const one of [1, 2, 3, 4, 5]) fleet.take({ do: "join", node: one, bound: 2 });
        for (const one of steps) fleet.take(one);
        // Whoever is not purged comes back with the code, and is given the time to settle.
        for (const { id, purged } of [...fleet.state.nodes.values()]) {
          if (!purged) fleet.send({ type: "markReachable", node: id, now: 1 });
          fleet.send({ type: "bindModules", node: id, modules: ["m"] });
        }
        const rounds = fleet.settle(99);
        expect(rounds).toBeLessThanOrEqual(3 * 8 + 2);
        checkPlaced(fleet.state);
        const { state } = fleet;
        expect(decodeValue(encodeValue(state))).toEqual(state);
        expect(fleet.send({ type: "balance", limit: 99 })).toEqual({ ok: true, retargeted: 0 });
        expect(fleet.state).toBe(state);
        for (const one of state.nodes.values()) {
          if (one.state === "active") continue;
          const held = [...state.groups.values()].filter((group) => isPartOf(group, one.id));
          const stuck = (group: FleetGroup) =>
            group.state === "removing" || !isAlive(state, group) || !hasPlace(state, group);
          expect(held.some(stuck)).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  });
});

/** Is there an active node with the group's code? */
function hasPlace(state: FleetState, { id }: FleetGroup): boolean {
  return [...state.nodes.values()].some(
    (one) => one.state === "active" && (id === 1 || one.modules.includes("m")),
  );
}
