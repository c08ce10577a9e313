/** Runs `npx raft-kv` as it is built. */
import { join } from "node:path";
import { expect } from "vitest";
import { type Ended, type Running, startCommand } from "../process/support/programs.ts";

const CLI = join(import.meta.dirname, "../../dist/cli.mjs");

/** Starts a verb. */
export function startRaftKv(
  args: readonly string[],
  environment: Record<string, string> = {},
): Running {
  return startCommand(process.execPath, [CLI, ...args], environment);
}

/** Runs a verb to its end, with nobody at the terminal. */
export function raftKv(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Ended> {
  const { process: child, ended } = startRaftKv(args, environment);
  child.stdin?.end();
  return ended;
}

/** What a verb prints for programs. */
export async function json(ended: Promise<Ended>, code = 0): Promise<unknown> {
  const { output, errors, code: ending } = await ended;
  expect([ending, errors]).toEqual([code, ""]);
  return JSON.parse(output);
}
