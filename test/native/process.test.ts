/** How processes with engines live and end. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { open } from "./support.ts";

const CHILD = fileURLToPath(new URL("child.mjs", import.meta.url));

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function start(mode: string, ...parameters: string[]): ChildProcess {
  const stdio = ["ignore", "inherit", "inherit", "ipc"] as const;
  const child = fork(CHILD, [mode, ...parameters], { stdio: [...stdio] });
  children.push(child);
  return child;
}

/** Resolves to the exit code; that a child does not end shows as the test's time limit. */
async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = await once(child, "exit");
  return code;
}

test("a process ends by itself after close", async () => {
  expect(await exitOf(start("close"))).toBe(0);
});

test("a process ends by itself after unref, and its directory is whole", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "raft-kv-process-"));
  try {
    expect(await exitOf(start("unref", dataDir))).toBe(0);
    const { engine } = await open({ dataDir, clusterName: "child" });
    expect(engine.storedGroups().map(({ group }) => group)).toEqual([1]);
    await engine.close();
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});

test("an open engine holds its process", async () => {
  const child = start("hold");
  await once(child, "message");
  const ended = exitOf(child);
  child.disconnect();
  // Long enough for an empty event loop to end many times over; a slow machine cannot fail this.
  const timer = new Promise((resolve) => setTimeout(resolve, 1000, "alive"));
  expect(await Promise.race([ended, timer])).toBe("alive");
  child.kill("SIGKILL");
  await ended;
});

test("a process may exit in the middle of everything", async () => {
  expect(await exitOf(start("exit"))).toBe(7);
});

test.runIf(process.platform === "linux")("200 openings leave nothing behind", async () => {
  const child = start("rounds");
  const [[early, late]] = (await once(child, "message")) as [[number[], number[]]];
  // What waits to be used again comes and goes; what is left behind adds up with every opening.
  const passing = 8;
  for (const [at, count] of late.entries()) expect(count).toBeLessThan(early[at]! + passing);
  expect(await exitOf(child)).toBe(0);
});

test("a worker thread is refused with a code", async () => {
  const child = start("worker");
  const [message] = await once(child, "message");
  expect(message).toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(message.message).toContain("worker threads are not supported yet");
  expect(await exitOf(child)).toBe(0);
});
