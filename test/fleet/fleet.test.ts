import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FleetCommand, FleetReplies } from "../../ts/fleet/commands.ts";
import { fleetModule } from "../../ts/fleet/fleet.ts";
import { type FleetState, groupById } from "../../ts/fleet/state.ts";

class Fleet {
  state: FleetState = fleetModule.init();

  send<C extends FleetCommand>(command: C): FleetReplies[C["type"]] {
    const [reply, next] = fleetModule.command(this.state, command);
    this.state = next;
    return reply as FleetReplies[C["type"]];
  }

  join(id: number, modules: string[] = ["m"], incarnation = 1) {
    const node = {
      id,
      name: `n${id}`,
      zone: "z",
      address: null,
      version: "0",
      incarnation,
      modules,
    };
    return this.send({ type: "joinNode", node, now: incarnation });
  }

  add(name: string, token: string, replicas = 3) {
    const command = { type: "addGroup", name, replicas, module: "m", settings: {}, token } as const;
    return this.send(command);
  }
}

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
