/** The built package loads as an ES module and as CommonJS, and both share one default node. */
import { expect, it } from "vitest";
import { run } from "./support/programs.ts";

it("shares one default node between the two ways to load it", async () => {
  expect(JSON.parse(await run("both-ways.mjs"))).toEqual({
    value: "value",
    names: ["k"],
    oneErrorClass: true,
    sameNames: true,
    defaultExport: false,
  });
});

it("serves a CommonJS program", async () => {
  expect(await run("required.cjs")).toBe("value\nNO_SUCH_KEYSPACE\n");
});
