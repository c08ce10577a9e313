/** What a node may say of itself when it wants to be let in. */
import { fc, test as property } from "@fast-check/vitest";
import { expect, test } from "vitest";
import { faultOfJoining, joiningNode } from "../../ts/fleet/admission.ts";
import { FLEET_NAME } from "../../ts/fleet/state.ts";

const from = { node: 4_503_599_627_370_495, incarnation: 3 };
const good = {
  id: from.node,
  incarnation: from.incarnation,
  name: "node-1",
  zone: "a",
  version: "1.0.0",
  address: "10.0.0.1:4400",
  modules: [FLEET_NAME],
};

test("a node that says who it is may come in, with nothing but that", () => {
  expect(faultOfJoining(good, from)).toBeNull();
  expect(joiningNode({ ...good, drained: true, state: "leaving" } as typeof good)).toEqual(good);
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["another node", { ...good, id: 7 }],
  ["a later opening of the same directory", { ...good, incarnation: 4 }],
  ["no name", { ...good, name: "" }],
  ["a zone that is no text", { ...good, zone: 5 }],
  ["an endless address", { ...good, address: "a".repeat(100_000) }],
  ["no address", { ...good, address: null }],
  ["no version", { ...good, version: undefined }],
  ["modules that are no list", { ...good, modules: "all" }],
  ["modules without names", { ...good, modules: [FLEET_NAME, {}] }],
])("%s is refused", (_, description) => {
  expect(faultOfJoining(description, from)).toMatch(/\w/);
});

property.prop([fc.anything(), fc.constantFrom(...Object.keys(good))])(
  "anything at all is judged without harm",
  (value, field) => {
    faultOfJoining(value, from);
    faultOfJoining({ ...good, [field]: value }, from);
  },
);
