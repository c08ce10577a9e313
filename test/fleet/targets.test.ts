/** Single steps of balancing, each with the reason why it is taken or not. */
import { describe, expect, test } from "vitest";
import { placeGroup, systemVoters } from "../../ts/fleet/placement.ts";
import { type FleetGroup, groupsOfNode } from "../../ts/fleet/state.ts";
import { isSafeChange, nextTargets } from "../../ts/fleet/targets.ts";
import { Fleet } from "./harness.ts";

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

const sorted = (nodes: Iterable<number>) => [...nodes].sort((a, b) => a - b);

describe("targets", () => {
  test("a change of voters needs a majority that answers, before and after", () => {
    const safe = (before: number[], after: number[], dead: number[]) =>
      isSafeChange(before, after, (node) => !dead.includes(node));
    expect(safe([1, 2, 3], [1, 2, 4], [])).toBe(true);
    expect(safe([1, 2, 3], [1, 2, 4], [3])).toBe(true);
    expect(safe([1, 2, 3], [1, 2, 4], [1])).toBe(false);
    expect(safe([1, 2, 3], [1, 2, 3, 4], [1])).toBe(true);
    expect(safe([1, 2, 3], [1, 2, 3, 4], [1, 2])).toBe(false);
    expect(safe([1, 2, 3, 4], [1, 2, 4], [1])).toBe(true);
    expect(safe([1, 2], [1], [])).toBe(true);
    expect(safe([1, 2], [1], [2])).toBe(false);
    expect(safe([1], [2], [])).toBe(false);
    expect(safe([1], [1, 2], [])).toBe(true);
  });

  test("a group grows by one member for each confirmed target", () => {
    const fleet = Fleet.of(1);
    fleet.add("g", "t");
    fleet.settle();
    fleet.join(2);
    fleet.join(3);
    fleet.send({ type: "balance", limit: 10 });
    expect(fleet.group("g").members.length).toBe(2);
    const { state } = fleet;
    fleet.send({ type: "balance", limit: 10 });
    expect(fleet.group("g")).toBe(state.groups.get("g"));
    fleet.settle();
    expect(sorted(fleet.group("g").members)).toEqual([1, 2, 3]);
  });

  test("every node follows the system groups at once, an odd few vote in the end", () => {
    expect(range(1, 8).map(systemVoters)).toEqual([1, 2, 3, 3, 5, 5, 5, 5]);
    const fleet = Fleet.of(1);
    fleet.add("directory", "d", 3, true);
    for (const node of range(2, 9)) {
      fleet.join(node);
      for (const group of [fleet.own, fleet.group("directory")]) {
        expect(sorted([...group.members, ...group.learners])).toEqual(range(1, node));
      }
      fleet.settle();
      for (const group of [fleet.own, fleet.group("directory")]) {
        expect(group.members.length).toBe(systemVoters(node));
        expect(sorted([...group.members, ...group.learners])).toEqual(range(1, node));
      }
    }
  });

  test("a node that binds a system group's code later follows it from then on", () => {
    const fleet = Fleet.of(1);
    fleet.add("directory", "d", 3, true);
    fleet.join(2, []);
    fleet.settle();
    expect(fleet.own.members).toContain(2);
    expect(fleet.group("directory").learners).toEqual([]);
    fleet.send({ type: "bindModules", node: 2, modules: ["m"] });
    expect(fleet.group("directory").learners).toEqual([2]);
  });

  test("a single replica moves by way of two", () => {
    const fleet = Fleet.of(1, 2);
    fleet.add("g", "t", 1);
    fleet.settle();
    const [held] = fleet.group("g").members as [number];
    const other = held === 1 ? 2 : 1;
    fleet.send({ type: "leaveNode", node: held, now: 1 });
    fleet.send({ type: "balance", limit: 10 });
    expect(fleet.group("g").members).toEqual([other, held]);
    fleet.settle();
    expect(fleet.group("g").members).toEqual([other]);
    expect([...fleet.state.nodes.keys()]).toEqual([other]);
  });

  test("a node leaves although another one of its group does not answer", () => {
    const fleet = Fleet.of(1, 2, 3);
    fleet.add("g", "t");
    fleet.settle();
    fleet.join(4);
    fleet.confirmAll();
    const before = fleet.group("g").members;
    const [leaving, dead] = before as [number, number];
    fleet.send({ type: "markUnreachable", node: dead, since: 1 });
    fleet.send({ type: "leaveNode", node: leaving, now: 2 });
    fleet.settle();
    expect(groupsOfNode(fleet.state, leaving)).toEqual([]);
    expect(fleet.state.nodes.has(leaving)).toBe(false);
    expect(sorted(fleet.group("g").members)).toEqual([1, 2, 3, 4].filter((id) => id !== leaving));
  });

  test("a node that leaves follows the fleet until it holds no other group", () => {
    for (const first of [1, 2, 3]) {
      const fleet = Fleet.of(1, 2, 3, 4);
      fleet.add("directory", "d", 3, true);
      for (const at of range(1, 12)) fleet.add(`g${at}`, `t${at}`);
      fleet.settle();
      fleet.send({ type: "leaveNode", node: first, now: 1 });
      fleet.settle(1, 100, () => {
        const held = groupsOfNode(fleet.state, first).filter((group) => group.id !== 1);
        const { members, learners } = fleet.own;
        // Whatever it may still lead; it was a learner of the directory by then.
        const led = held.filter((group) => !group.system || group.members.includes(first));
        if (led.length > 0) expect([...members, ...learners]).toContain(first);
        const directory = fleet.group("directory");
        if (held.some((group) => !group.system)) {
          expect([...directory.members, ...directory.learners]).toContain(first);
        }
      });
      expect(fleet.state.nodes.has(first)).toBe(false);
    }
  });

  test("a group without a majority that answers waits, also when its nodes are purged", () => {
    const fleet = Fleet.of(1, 2, 3, 4, 5);
    fleet.add("g", "t");
    fleet.settle();
    const { members, version } = fleet.group("g");
    const dead = members.slice(0, 2);
    for (const node of dead) {
      fleet.send({ type: "markUnreachable", node, since: 0 });
      fleet.send({ type: "purgeNode", node, window: 10, now: 10 });
    }
    fleet.settle();
    expect(fleet.group("g")).toMatchObject({ members, version });
    for (const node of dead) expect(fleet.state.nodes.get(node)).toMatchObject({ purged: true });
    fleet.send({ type: "markReachable", node: dead[0] as number, now: 20 });
    fleet.settle();
    expect(fleet.state.nodes.has(dead[1] as number)).toBe(false);
    expect(fleet.state.nodes.get(dead[0] as number)).toMatchObject({ state: "active" });
  });

  test("a node is purged only after the window, and replaced everywhere", () => {
    const fleet = Fleet.of(1, 2, 3, 4);
    for (const at of range(1, 20)) fleet.add(`g${at}`, `t${at}`);
    fleet.settle();
    fleet.send({ type: "removeGroup", name: "g1" });
    fleet.send({ type: "purgeNode", node: 2, window: 100, now: 1_000 });
    fleet.send({ type: "markUnreachable", node: 2, since: 1_000 });
    fleet.send({ type: "markUnreachable", node: 2, since: 5_000 });
    fleet.send({ type: "purgeNode", node: 2, window: 100, now: 1_099 });
    expect(fleet.state.nodes.get(2)).toMatchObject({ state: "active", unreachableSince: 1_000 });
    expect(nextTargets(fleet.state, 99)).toEqual([]);
    fleet.send({ type: "purgeNode", node: 2, window: 100, now: 1_100 });
    expect(fleet.state.groups.get("g1")?.members ?? []).not.toContain(2);
    fleet.settle();
    expect(fleet.state.nodes.has(2)).toBe(false);
    for (const at of range(2, 20)) {
      expect(sorted(fleet.group(`g${at}`).members)).toEqual([1, 3, 4]);
    }
    // It was only cut off, and comes back in the same incarnation.
    fleet.join(2);
    expect(fleet.state.nodes.get(2)).toMatchObject({ state: "active" });
  });

  test("new members go where the code is bound and the node answers; old ones stay", () => {
    const fleet = Fleet.of(1, 2, 3);
    fleet.join(4, []);
    fleet.send({ type: "markUnreachable", node: 3, since: 1 });
    fleet.add("g", "t");
    expect(sorted(fleet.group("g").members)).toEqual([1, 2]);
    fleet.settle();
    fleet.send({ type: "markReachable", node: 3, now: 2 });
    fleet.settle();
    expect(sorted(fleet.group("g").members)).toEqual([1, 2, 3]);
    fleet.join(2, [], 2);
    fleet.send({ type: "markUnreachable", node: 1, since: 3 });
    expect(nextTargets(fleet.state, 9)).toEqual([]);
  });

  test("a creator that is gone is replaced without changing who votes", () => {
    const fleet = Fleet.of(1, 2, 3);
    fleet.add("g", "t");
    const { members, version } = fleet.group("g");
    fleet.send({ type: "markUnreachable", node: members[0] as number, since: 1 });
    fleet.send({ type: "balance", limit: 9 });
    const next = fleet.group("g");
    expect(next).toMatchObject({ created: false, version: version + 1, leaving: [] });
    expect(next.members[0]).toBe(members[1]);
    expect(sorted(next.members)).toEqual(sorted(members));
    fleet.confirm(next.id);
    expect(fleet.group("g").created).toBe(true);
    fleet.settle();
    expect(fleet.group("g").members).toEqual(members);
  });

  test("a target that cannot be reached is given up for what stands", () => {
    const fleet = Fleet.of(1, 2, 3);
    for (const at of range(1, 20)) fleet.add(`g${at}`, `t${at}`);
    fleet.settle();
    const before = fleet.state.groups;
    fleet.join(4);
    fleet.send({ type: "balance", limit: 99 });
    const moved = [...fleet.state.groups.values()].filter(
      (group) => !group.system && group.members.includes(4),
    );
    expect(moved.length).toBeGreaterThan(0);
    fleet.send({ type: "markUnreachable", node: 4, since: 1 });
    for (const { id, name, version } of moved) {
      const { members } = before.get(name) as FleetGroup;
      const keep = { type: "keepMembers", group: id, version, members } as const;
      fleet.send(keep);
      const kept = fleet.group(name);
      expect(kept).toMatchObject({ version: version + 1, leaving: [4] });
      expect(sorted(kept.members)).toEqual(sorted(members));
      fleet.send(keep);
      expect(fleet.group(name)).toBe(kept);
    }
    fleet.settle();
    for (const { name } of moved) expect(fleet.group(name).leaving).toEqual([]);
  });

  test("doubling and halving move no more members than needed, leaders first at the end", () => {
    const groups = range(1, 60).map((at) => `g${at}`);
    const fleet = Fleet.of([1, "a"], [2, "b"], [3, "a"], [4, "b"]);
    for (const name of groups) fleet.add(name, name);
    fleet.settle();
    const voters = () => new Map(groups.map((name) => [name, new Set(fleet.group(name).members)]));
    const placed = (nodes: [number, string][]) => {
      for (const name of groups) {
        const { id, members } = fleet.group(name);
        expect(members).toEqual(
          placeGroup(
            id,
            3,
            nodes.map(([node, zone]) => ({ id: node, zone })),
          ),
        );
      }
    };
    const zoned = (ids: number[]) =>
      ids.map((id): [number, string] => [id, id % 2 === 1 ? "a" : "b"]);
    const doubled = move(fleet, groups, () => {
      for (const [id, zone] of zoned([5, 6, 7, 8])) fleet.join(id, ["m"], 1, zone);
    });
    placed(zoned(range(1, 8)));
    expect(doubled.added).toBe(doubled.needed);
    expect(doubled.newcomers.every((node) => node > 4)).toBe(true);
    const before = voters();
    const halved = move(fleet, groups, () => {
      for (const node of [1, 2, 3, 4]) fleet.send({ type: "leaveNode", node, now: 1 });
    });
    placed(zoned(range(5, 8)));
    expect(halved.added).toBe(halved.needed);
    for (const [name, members] of before) {
      const stayed = [...members].filter((node) => node > 4);
      for (const node of stayed) expect(fleet.group(name).members).toContain(node);
    }
    expect(sorted(fleet.state.nodes.keys())).toEqual([5, 6, 7, 8]);
  });
});

/** Settles after a change, and counts how many voters were added and how many had to be. */
function move(fleet: Fleet, groups: string[], change: () => void) {
  const members = () => groups.map((name) => fleet.group(name).members);
  const before = members();
  let known = before;
  const newcomers: number[] = [];
  change();
  const rounds = fleet.settle(8, 1_000, () => {
    const now = members();
    now.forEach((after, at) => {
      newcomers.push(...after.filter((node) => !known[at]?.includes(node)));
    });
    known = now;
  });
  const missing = members().map((after, at) => after.filter((node) => !before[at]?.includes(node)));
  return { rounds, newcomers, added: newcomers.length, needed: missing.flat().length };
}
