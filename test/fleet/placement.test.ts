import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { placeGroup } from "../../ts/fleet/placement.ts";

const nodes = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 1, max: 2 ** 52 }),
    zone: fc.constantFrom("a", "b", "c"),
  }),
  { selector: (node) => node.id, maxLength: 12 },
);
const group = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const replicas = fc.integer({ min: 1, max: 5 });

describe("placement", () => {
  test("gives as many different nodes as are wanted and there", () => {
    fc.assert(
      fc.property(nodes, group, replicas, (all, id, count) => {
        const members = placeGroup(id, count, all);
        expect(members.length).toBe(Math.min(count, all.length));
        expect(new Set(members).size).toBe(members.length);
      }),
    );
  });

  test("takes zones in turn", () => {
    fc.assert(
      fc.property(nodes, group, replicas, (all, id, count) => {
        const members = placeGroup(id, count, all);
        for (const zone of new Set(all.map((node) => node.zone))) {
          const inZone = all.filter((node) => node.zone === zone);
          const taken = inZone.filter((node) => members.includes(node.id)).length;
          for (const other of new Set(all.map((node) => node.zone))) {
            const others = all.filter((node) => node.zone === other);
            const free = others.some((node) => !members.includes(node.id));
            const takenThere = others.filter((node) => members.includes(node.id)).length;
            // No zone has two members more than another that still has a free node.
            if (free) expect(taken).toBeLessThanOrEqual(takenThere + 1);
          }
        }
      }),
    );
  });

  test("moves at most one member when a node joins", () => {
    const fresh = fc.record({
      id: fc.integer({ min: 2 ** 52 + 1, max: 2 ** 52 + 9 }),
      zone: fc.constantFrom("a", "b", "c", "d"),
    });
    fc.assert(
      fc.property(nodes, fresh, group, replicas, (all, joining, id, count) => {
        const before = placeGroup(id, count, all);
        const after = placeGroup(id, count, [...all, joining]);
        expect(before.filter((node) => !after.includes(node)).length).toBeLessThanOrEqual(1);
        const added = after.filter((node) => !before.includes(node));
        expect(added.every((node) => node === joining.id)).toBe(true);
      }),
    );
  });

  test("does not depend on the order in which nodes are given", () => {
    fc.assert(
      fc.property(nodes, group, replicas, (all, id, count) => {
        expect(placeGroup(id, count, [...all].reverse())).toEqual(placeGroup(id, count, all));
      }),
    );
  });

  test("spreads leaders over the nodes", () => {
    const four = [11, 22, 33, 44].map((id) => ({ id, zone: "a" }));
    const led = new Map(four.map((node) => [node.id, 0]));
    for (let id = 2; id < 1002; id++) {
      const leader = placeGroup(id, 1, four)[0] as number;
      led.set(leader, (led.get(leader) ?? 0) + 1);
    }
    for (const count of led.values()) {
      expect(count).toBeGreaterThan(180);
      expect(count).toBeLessThan(320);
    }
  });
});
