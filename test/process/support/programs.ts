/** Runs the small programs of this folder as child processes on the built package. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PROGRAMS = join(ROOT, "test/process/programs");

/** How a child ended, and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** A running child; `send` writes a line to its standard input. */
export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the first line that `matches`, or rejects when the child ends without one. */
  line(matches: (line: string) => boolean): Promise<string>;
  /** Called with each line, also those of the past. */
  onLine(listener: (line: string) => void): void;
  send(line: string): void;
}

const running = new Set<ChildProcess>();
const directories: string[] = [];

afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
  for (const directory of directories.splice(0)) {
    rmSync(directory, { recursive: true, force: true });
  }
});

/** A directory that is removed after the test. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-process-"));
  directories.push(directory);
  return directory;
}

/** Starts a command; `environment` is added to this process's own. The directory is the root's. */
export function startCommand(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  directory = ROOT,
): Running {
  if (!existsSync(join(ROOT, "dist/index.mjs"))) {
    throw new Error("dist/ is missing: run `npm run build` first");
  }
  const child = spawn(command, args, {
    cwd: directory,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  running.add(child);
  const lines: string[] = [];
  const listeners = new Set<(line: string) => void>();
  let output = "";
  let errors = "";
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    const parts = (rest + text).split("\n");
    // A line that the child did not finish before it was killed says nothing.
    rest = parts.pop() ?? "";
    for (const line of parts) {
      lines.push(line);
      for (const listener of [...listeners]) listener(line);
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  // A child that is gone takes no more input; its end is reported by `ended`.
  child.stdin.on("error", () => undefined);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      running.delete(child);
      resolve({ code, signal, output, errors });
    });
  });
  const onLine = (listener: (line: string) => void) => {
    for (const line of lines) listener(line);
    listeners.add(listener);
  };
  return {
    process: child,
    ended,
    onLine,
    send: (line) => void child.stdin.write(`${line}\n`),
    line: (matches) =>
      new Promise((resolve, reject) => {
        onLine((line) => {
          if (matches(line)) resolve(line);
        });
        void ended.then((end) => {
          reject(new Error(`the child ended with ${end.code ?? end.signal}: ${end.errors}`));
        });
      }),
  };
}

/** Starts a program of `programs/`. */
export function start(
  program: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Running {
  return startCommand(process.execPath, [join(PROGRAMS, program), ...args], environment);
}

/** The path of a program, for commands that wrap it. */
export function programPath(program: string): string {
  return join(PROGRAMS, program);
}

/** Runs a program to its end, which must be a good one, and gives its output. */
export async function run(
  program: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const end = await start(program, args, environment).ended;
  if (end.code === 0) return end.output;
  throw new Error(`${program} ended with ${end.code ?? end.signal}\n${end.output}\n${end.errors}`);
}
