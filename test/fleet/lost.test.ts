import { describe, expect, test } from "vitest";
import { Fleet } from "./harness.ts";

describe("nodes that were given up for lost", () => {
  test("leave every target at once, and are never let in again", () => {
    const fleet = Fleet.of(1, 2, 3, 4, 5);
    fleet.settle();
    fleet.add("g", "t");
    fleet.settle();
    const [first, second, third] = fleet.group("g").members as [number, number, number];
    const { version } = fleet.group("g");
    const drop = { type: "dropLostNodes", nodes: [first, second] } as const;
    fleet.send(drop);
    expect(fleet.group("g").members).toEqual([third]);
    expect(fleet.group("g").version).toBeGreaterThan(version);
    expect(fleet.own.members).not.toContain(first);
    expect([...fleet.state.nodes.keys()]).not.toContain(second);
    const once = fleet.state;
    fleet.send(drop);
    expect(fleet.state).toBe(once);
    for (const incarnation of [1, 2]) {
      expect(fleet.join(first, ["m"], incarnation)).toMatchObject({
        ok: false,
        code: "CLUSTER_MISMATCH",
      });
    }
    fleet.send({ type: "markReachable", node: first, now: 9 });
    expect(fleet.state.nodes.size).toBe(3);
    fleet.settle();
    expect(fleet.group("g").members).toHaveLength(3);
  });

  test("leave a group without replicas that can be removed, and added again", () => {
    const fleet = Fleet.of(1, 2, 3, 4);
    fleet.settle();
    fleet.add("g", "t");
    fleet.settle();
    const { members } = fleet.group("g");
    fleet.send({ type: "dropLostNodes", nodes: members });
    expect(fleet.group("g").members).toEqual([]);
    fleet.settle();
    expect(fleet.group("g").members, "its data does not come back by itself").toEqual([]);
    fleet.send({ type: "removeGroup", name: "g" });
    expect(fleet.state.groups.get("g") !== undefined).toBe(false);
    expect(fleet.add("g", "u")).toMatchObject({ ok: true });
  });

  test("leave a group that was never begun to others", () => {
    const fleet = Fleet.of(1, 2, 3, 4);
    fleet.settle();
    fleet.add("g", "t");
    const { members } = fleet.group("g");
    fleet.send({ type: "dropLostNodes", nodes: members });
    fleet.settle();
    const [creator] = fleet.group("g").members;
    expect(members).not.toContain(creator);
    expect(fleet.group("g").created).toBe(true);
  });

  test("hold up neither removals nor those that were about to take over", () => {
    const fleet = Fleet.of(1, 2, 3, 4);
    fleet.settle();
    fleet.add("g", "t", 1);
    fleet.add("h", "u");
    fleet.settle();
    const [only] = fleet.group("g").members as [number];
    const other = [1, 2, 3, 4].find((node) => node !== only) as number;
    fleet.send({ type: "leaveNode", node: only, now: 5 });
    fleet.send({ type: "balance", limit: 8 });
    fleet.send({ type: "removeGroup", name: "h" });
    const moving = fleet.group("g");
    fleet.send({ type: "dropLostNodes", nodes: moving.members.filter((node) => node !== only) });
    expect(fleet.group("g").members).toContain(only);
    for (const node of [1, 2, 3, 4]) {
      if (node !== other) fleet.send({ type: "dropLostNodes", nodes: [node] });
    }
    expect(fleet.state.groups.get("h")?.members ?? []).not.toContain(only);
  });
});
