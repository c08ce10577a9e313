/** A second process on a directory is told who holds it, and gets it when the holder is gone. */
import { expect, it } from "vitest";
import { scratchDirectory, start } from "./support/programs.ts";

async function outcome(child: ReturnType<typeof start>) {
  return JSON.parse(await child.line((line) => line.startsWith("{")));
}

it("gives DATA_DIR_LOCKED with the holder's process id, and not after the holder was killed", async () => {
  const directory = scratchDirectory();
  const holder = start("opens.mjs", [directory]);
  const { pid } = await outcome(holder);
  expect(pid).toBe(holder.process.pid);

  const second = await outcome(start("opens.mjs", [directory]));
  expect(second).toMatchObject({ open: false, name: "RaftKVError", code: "DATA_DIR_LOCKED" });
  expect(second.action).toBe("fix");
  expect(second.message).toContain(String(pid));

  holder.process.kill("SIGKILL");
  await holder.ended;
  const third = start("opens.mjs", [directory]);
  expect((await outcome(third)).open).toBe(true);
  third.process.stdin?.end();
  const end = await third.ended;
  expect([end.code, end.errors]).toEqual([0, ""]);
});
