import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../ts/codec/value.ts";
import { fleetModule } from "../../ts/fleet/fleet.ts";
import { FleetGroups } from "../../ts/fleet/groups.ts";
import { FLEET_NAME, type FleetGroup, fleetImage } from "../../ts/fleet/state.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { Fleet } from "./harness.ts";

const some = Fleet.of(1).own;
const named = (name: string, id: number): FleetGroup => ({ ...some, name, id });

function fleetOf(groups: number): Fleet {
  const fleet = Fleet.of(1);
  for (let at = 0; at < groups; at++) fleet.add(`g${at}`, `t${at}`);
  return fleet;
}

describe("groups of a fleet", () => {
  test("are found by name and id, also where names share a hash", () => {
    // More names than the hash has values within a birthday's reach: some must collide.
    const count = 5_000;
    let groups = FleetGroups.none;
    for (let id = 1; id <= count; id++) groups = groups.with(named(`name-${id}`, id));
    expect(groups.size).toBe(count);
    for (let id = 1; id <= count; id += 2) groups = groups.without(`name-${id}`);
    expect(groups.size).toBe(count / 2);
    for (let id = 1; id <= count; id++) {
      const there = id % 2 === 0;
      expect(groups.get(`name-${id}`)?.id).toBe(there ? id : undefined);
      expect(groups.byId(id)?.name).toBe(there ? `name-${id}` : undefined);
    }
    expect(groups.without("unknown")).toBe(groups);
    expect(groups.get("unknown")).toBeUndefined();
  });

  test("say what became of them since another state, and of no other", () => {
    const fleet = fleetOf(200);
    const before = fleet.state.groups;
    fleet.confirm(7);
    fleet.add("new", "t");
    fleet.send({ type: "removeGroup", name: "g3" });
    fleet.send({ type: "confirmRemoved", group: fleet.group("g3").id, node: 1 });
    const changes = fleet.state.groups.changesSince(before);
    expect(changes.map(({ before: old, after }) => [old?.id, after?.id])).toEqual([
      [5, undefined],
      [7, 7],
      [undefined, 202],
    ]);
    expect(changes[1]?.after?.confirmed).toBe(1);
    expect(fleet.state.groups.changesSince(fleet.state.groups)).toEqual([]);
  });

  test("several are confirmed by one command, each as by a command of its own", () => {
    const [together, alone] = [fleetOf(20), fleetOf(20)];
    const target = ({ id: group, version, members }: FleetGroup) => ({ group, version, members });
    const targets = together.state.groups.values().map(target);
    const stale = { ...targets[4]!, version: 9 };
    const strangers = { ...targets[5]!, members: [8] };
    const unknown = { group: 99, version: 1, members: [1] };
    const all = [...targets.slice(0, 4), stale, strangers, unknown, ...targets.slice(6)];
    together.send({ type: "confirmTargets", targets: all });
    // What older logs hold.
    for (const one of all) alone.send({ type: "confirmMembers", ...one });
    expect(together.state.groups.values()).toEqual(alone.state.groups.values());
    const open = together.state.groups.values().filter(({ created }) => !created);
    expect(open.map(({ id }) => id)).toEqual([targets[4]?.group, targets[5]?.group]);
  });

  test("are kept by snapshots, in the form that snapshots always had", () => {
    const fleet = fleetOf(40);
    const { groups, ...rest } = fleet.state;
    const plain = { ...rest, groups: new Map(groups.values().map((group) => [group.name, group])) };
    expect(encodeValue(fleetImage.pack(fleet.state))).toEqual(encodeValue(plain));

    const machine = new DataMachine(fleetModule, fleetImage);
    machine.reset();
    machine.restore(encodeValue(plain));
    machine.restored();
    expect(machine.state.groups.values()).toEqual(groups.values());
    expect(machine.state.groups.get(FLEET_NAME)).toEqual(fleet.own);
    const writer = machine.snapshot();
    const pieces: Uint8Array[] = [];
    for (let piece = writer.next(1000); piece !== null; piece = writer.next(1000)) {
      pieces.push(piece.slice());
    }
    expect(decodeValue(Buffer.concat(pieces))).toEqual(plain);
  });
});
