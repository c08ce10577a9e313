/** What of the system a run may use; what is missing is said, not worked around. */
import { spawnSync } from "node:child_process";

/** A command of the system that failed. */
export class SystemFault extends Error {}

/** Runs a short command and gives what it printed. @throws SystemFault */
export function system(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status === 0) return stdout.trim();
  const reason = error?.message ?? stderr.trim();
  throw new SystemFault(`${command} ${args.join(" ")}: ${reason}`);
}

/** Runs something that may not be possible here: its value, or why not. */
export function possible<T>(make: () => T): { readonly made: T } | { readonly why: string } {
  try {
    return { made: make() };
  } catch (error) {
    if (error instanceof SystemFault) return { why: error.message.split("\n")[0] ?? "" };
    throw error;
  }
}

/** Is this the superuser? */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
