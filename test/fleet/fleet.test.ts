import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FLEET_NAME, groupById, isForgotten } from "../../ts/fleet/state.ts";
import { Fleet } from "./harness.ts";

describe("fleet", () => {
  test("keeps the name that the cluster was founded with", () => {
    const fleet = new Fleet();
    expect(fleet.send({ type: "foundCluster", clusterId: "x", founder: 1 })).toEqual({
      ok: true,
      clusterId: "x",
    });
    expect(fleet.send({ type: "foundCluster", clusterId: "y", founder: 2 })).toEqual({
      ok: true,
      clusterId: "x",
    });
  });

  test("places a group on nodes that have bound its module", () => {
    const fleet = new Fleet();
    fleet.join(1, []);
    expect(fleet.add("g", "t")).toMatchObject({ ok: false, code: "MODULE_NOT_BOUND" });
    fleet.send({ type: "bindModules", node: 1, modules: ["m"] });
    expect(fleet.add("g", "t")).toEqual({ ok: true, group: 2, members: [1] });
    fleet.join(2, ["other"]);
    expect(fleet.add("h", "u")).toEqual({ ok: true, group: 3, members: [1] });
  });

  test("answers the same request again, and refuses another for the same name", () => {
    const fleet = new Fleet();
    fleet.join(1);
    const first = fleet.add("g", "t");
    expect(fleet.add("g", "t")).toEqual(first);
    expect(fleet.add("g", "u")).toMatchObject({ ok: false, code: "ALREADY_ADDED" });
  });

  test("holds the name until every member has confirmed the removal", () => {
    const fleet = new Fleet();
    fleet.join(1);
    fleet.join(2);
    fleet.add("g", "t");
    expect(fleet.send({ type: "removeGroup", name: "g" })).toEqual({ ok: true, group: 2 });
    fleet.send({ type: "confirmRemoved", group: 2, node: 1 });
    expect(fleet.add("g", "u")).toMatchObject({ ok: false, code: "CLEANUP_ONGOING" });
    fleet.send({ type: "confirmRemoved", group: 2, node: 2 });
    expect(fleet.send({ type: "removeGroup", name: "g" })).toMatchObject({ code: "NOT_FOUND" });
    expect(fleet.add("g", "u")).toMatchObject({ ok: true, group: 3 });
  });

  test("a late repetition of the request that added a removed group adds nothing", () => {
    const fleet = new Fleet();
    fleet.join(1);
    fleet.add("g", "t");
    fleet.send({ type: "removeGroup", name: "g", token: "t" });
    fleet.send({ type: "confirmRemoved", group: 2, node: 1 });
    expect(fleet.add("g", "t")).toMatchObject({ ok: false, code: "NOT_FOUND" });
    // Removed before it was ever added: the request is still on its way.
    expect(fleet.send({ type: "removeGroup", name: "h", token: "u" })).toMatchObject({ ok: false });
    expect(fleet.add("h", "u")).toMatchObject({ ok: false, code: "NOT_FOUND" });
  });

  test("a removal with a token does not touch a later group of the same name", () => {
    const fleet = new Fleet();
    fleet.join(1);
    fleet.add("g", "new");
    expect(fleet.send({ type: "removeGroup", name: "g", token: "old" })).toMatchObject({
      ok: false,
    });
    expect(fleet.state.groups.get("g")?.state).toBe("active");
  });

  test("a node that comes back has what its program binds now", () => {
    const fleet = new Fleet();
    fleet.join(1, ["m", "n"]);
    fleet.send({ type: "leaveNode", node: 1, now: 5 });
    expect(fleet.state.nodes.size).toBe(0);
    fleet.join(1, ["m"], 3);
    fleet.join(1, ["late"], 2);
    expect(fleet.state.nodes.get(1)).toMatchObject({ modules: ["m"], incarnation: 3 });
  });

  test("a leaving node gets no members and goes once it has none", () => {
    const fleet = new Fleet();
    fleet.join(1);
    fleet.add("g", "t");
    fleet.send({ type: "leaveNode", node: 1, now: 9 });
    expect(fleet.state.nodes.get(1)).toMatchObject({ state: "leaving", since: 9 });
    expect(fleet.add("h", "u")).toMatchObject({ code: "MODULE_NOT_BOUND" });
    fleet.send({ type: "removeGroup", name: "g" });
    fleet.send({ type: "confirmRemoved", group: 2, node: 1 });
    expect(fleet.state.nodes.size).toBe(0);
  });

  test("a late message of a node that left changes nothing", () => {
    const fleet = Fleet.of(1, 2);
    fleet.settle();
    fleet.send({ type: "leaveNode", node: 2, now: 5 });
    fleet.join(2, ["m"], 1);
    expect(fleet.state.nodes.get(2)?.state).toBe("leaving");
    fleet.settle();
    expect([...fleet.state.nodes.keys()]).toEqual([1]);
    fleet.join(2, ["m"], 1);
    expect([...fleet.state.nodes.keys()]).toEqual([1]);
    fleet.join(2, ["m"], 2);
    fleet.send({ type: "leaveNode", node: 2, incarnation: 1, now: 6 });
    expect(fleet.state.nodes.get(2)?.state).toBe("active");
  });

  test("system groups cannot be removed, and take no user's name", () => {
    const fleet = Fleet.of(1);
    expect(fleet.send({ type: "removeGroup", name: FLEET_NAME })).toMatchObject({ ok: false });
    expect(fleet.add(FLEET_NAME, "t")).toMatchObject({ code: "ALREADY_ADDED" });
    expect(fleet.own.state).toBe("active");
  });

  test("tells a group that was removed from one that is not known yet", () => {
    const fleet = Fleet.of(1);
    fleet.add("g", "t");
    expect([1, 2, 3].map((id) => isForgotten(fleet.state, id))).toEqual([false, false, false]);
    fleet.send({ type: "removeGroup", name: "g" });
    expect(isForgotten(fleet.state, 2)).toBe(false);
    fleet.send({ type: "confirmRemoved", group: 2, node: 1 });
    expect([1, 2, 3].map((id) => isForgotten(fleet.state, id))).toEqual([false, true, false]);
  });

  test("never reuses a group id, whatever is repeated", () => {
    const name = fc.constantFrom("a", "b", "c");
    const token = fc.constantFrom("t", "u", "v", "w");
    const step = fc.oneof(
      fc.record({ do: fc.constant("add" as const), name, token }),
      fc.record({ do: fc.constant("remove" as const), name }),
      fc.record({ do: fc.constant("confirm" as const), group: fc.integer({ min: 2, max: 9 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const fleet = new Fleet();
        fleet.join(1);
        const owners = new Map<number, string>();
        for (const one of steps) {
          if (one.do === "remove") fleet.send({ type: "removeGroup", name: one.name });
          if (one.do === "confirm") {
            fleet.send({ type: "confirmRemoved", group: one.group, node: 1 });
          }
          if (one.do !== "add") continue;
          const reply = fleet.add(one.name, one.token);
          if (!reply.ok) continue;
          const request = `${one.name}/${one.token}`;
          expect(owners.get(reply.group) ?? request).toBe(request);
          owners.set(reply.group, request);
          expect(groupById(fleet.state, reply.group)?.name).toBe(one.name);
        }
      }),
    );
  });
});
