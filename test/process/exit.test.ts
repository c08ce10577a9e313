/** When the process of a program ends by itself, and when an open node keeps it alive. */
import { expect, it } from "vitest";
import { run, scratchDirectory, start } from "./support/programs.ts";

it("ends by itself once the node is closed, on disk and in memory", async () => {
  const directory = scratchDirectory();
  expect(await run("exits-after-close.mjs", [":memory:"])).toBe("count 1\n");
  expect(await run("exits-after-close.mjs", [directory])).toBe("count 1\n");
  expect(await run("exits-after-close.mjs", [directory])).toBe("count 2\n");
});

for (const way of ["as it is", "unref-ref"]) {
  it(`stays alive with an open node (${way}), and ends after close`, async () => {
    const child = start("stays-open.mjs", [":memory:", way]);
    await child.line((line) => line === "open");
    const alive = new Promise((resolve) => setTimeout(resolve, 500, "alive"));
    expect(await Promise.race([alive, child.ended])).toBe("alive");
    child.send("close");
    const end = await child.ended;
    expect([end.code, end.errors]).toEqual([0, ""]);
    expect(end.output).toBe("open\nclosed\n");
  });
}

it("ends with an open node that was told to let it", async () => {
  const directory = scratchDirectory();
  for (const place of [":memory:", directory, directory]) {
    const end = await start("stays-open.mjs", [place, "unref"]).ended;
    expect([end.code, end.signal, end.errors]).toEqual([0, null, ""]);
  }
});
