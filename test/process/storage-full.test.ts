/**
 * A disk that is full, and writes that fail: the node says so to every caller from then on, and
 * after it was opened again with space nothing that was acknowledged is missing.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type Ended,
  programPath,
  run,
  scratchDirectory,
  startCommand,
} from "./support/programs.ts";

/** `ulimit -f` counts blocks of 512 bytes: no file may grow beyond this many. */
const FILE_BLOCKS_MAX = 12_000;
const FULL_CODES = ["STORAGE_FULL", "STORAGE_FAILED"];

interface Refusal {
  readonly name: string;
  readonly code: string;
  readonly action: string;
  readonly message: string;
  readonly outcome: string | null;
}

interface Told {
  readonly failed: Refusal;
  readonly refusals: Readonly<Record<string, Refusal>>;
  readonly warnings: readonly string[];
  /** Lines of the log, of level "error". */
  readonly errors: readonly string[];
}

function told(end: Ended): Told {
  const line = end.output.split("\n").find((candidate) => candidate.startsWith("{"));
  if (line === undefined) throw new Error(`${end.code ?? end.signal}: ${end.errors}`);
  return JSON.parse(line) as Told;
}

function acknowledged(end: Ended): string[] {
  return [...end.output.matchAll(/^k (.*)$/gm)].map(([, key]) => key as string);
}

function checkRefusals(told: Told, codes: readonly string[]): void {
  const { failed, refusals, warnings, errors } = told;
  expect(codes).toContain(failed.code);
  expect(failed.action).toBe("reopen");
  expect(failed.outcome).toMatch(/unknown|not applied/);
  expect(warnings).toEqual([failed.code]);
  expect(errors.join("\n")).toMatch(/^journal: the storage failed; nothing is written any more/m);
  for (const [call, refusal] of Object.entries(refusals)) {
    expect(refusal.name, call).toBe("RaftKVError");
    expect(refusal.code, call).toBe(failed.code);
    expect(refusal.outcome, call).toBe("not applied");
  }
}

/** May this process mount file systems in a namespace of its own? */
const mayMount =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

describe.skipIf(process.platform !== "linux")("storage that refuses", () => {
  it("answers every call with the failure when writes fail, and keeps what it acknowledged", async () => {
    const directory = scratchDirectory();
    const limited = `ulimit -f ${FILE_BLOCKS_MAX} && exec "$0" "$@"`;
    const program = programPath("fills-up.mjs");
    const end = await startCommand("sh", ["-c", limited, process.execPath, program, directory])
      .ended;
    checkRefusals(told(end), FULL_CODES);
    expect([end.code, end.errors]).toEqual([0, ""]);
    expect(end.output).toMatch(/closed\n$/);

    const keys = acknowledged(end);
    expect(keys.length).toBeGreaterThan(0);
    const { counts } = JSON.parse(await run("tells-contents.mjs", [directory])) as {
      counts: Record<string, number>;
    };
    for (const key of keys) expect(counts[key], key).toBe(1);
    for (const count of Object.values(counts)) expect(count).toBe(1);
  });

  it.skipIf(!mayMount)(
    "says STORAGE_FULL on a full disk, and goes on once there is space",
    async () => {
      const mountPoint = scratchDirectory();
      const script = [
        'mount -t tmpfs -o size=24m tmpfs "$1"',
        'mkdir "$1/data"',
        'head -c 8388608 /dev/zero > "$1/filler"',
        'exec "$2" "$3" "$1/data" "$1/filler"',
      ].join(" && ");
      const program = programPath("fills-up.mjs");
      const args = ["-rm", "sh", "-c", script, "sh", mountPoint, process.execPath, program];
      const end = await startCommand("unshare", args).ended;
      checkRefusals(told(end), ["STORAGE_FULL"]);
      expect([end.code, end.errors]).toEqual([0, ""]);
      const after = new Set([...end.output.matchAll(/^after (.*)$/gm)].map(([, key]) => key));
      expect(after).toContain("written again");
      const keys = acknowledged(end);
      expect(keys.length).toBeGreaterThan(0);
      for (const key of keys) expect(after).toContain(key);
    },
  );

  it("refuses a directory in which it cannot write", async () => {
    const directory = join(scratchDirectory(), "data");
    mkdirSync(directory);
    const limited = 'ulimit -f 0 && exec "$0" "$@"';
    const program = programPath("tells-contents.mjs");
    const end = await startCommand("sh", ["-c", limited, process.execPath, program, directory])
      .ended;
    const { error } = JSON.parse(end.output) as { error: Refusal };
    expect(FULL_CODES).toContain(error.code);
    expect(error.message).toContain(directory);
    expect(end.code).toBe(0);
  });
});
