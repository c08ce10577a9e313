/**
 * Clocks that jump. The wall clock of a running process by a small library that is compiled for the
 * run and preloaded; the monotonic clock, between two starts, by a time namespace: the kernel lets
 * nobody move it under a running process.
 */
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { system } from "./system.ts";

const SOURCE = fileURLToPath(new URL("../programs/clock.c", import.meta.url));

/** Makes wall clocks that can be moved. */
export class WallClocks {
  private readonly directory: string;
  private readonly library: string;

  /** @throws SystemFault where there is no compiler */
  constructor(directory: string) {
    this.directory = directory;
    this.library = join(directory, "clock.so");
    system("cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", this.library, SOURCE, "-ldl");
  }

  /** What a process of this node needs in its environment. */
  environment(node: number): Readonly<Record<string, string>> {
    this.setJump(node, 0);
    return { LD_PRELOAD: this.library, RAFT_KV_TEST_CLOCK: this.file(node) };
  }

  /** Moves the wall clock of a node's process by so many seconds from the system's. */
  setJump(node: number, seconds: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds) * 1_000_000_000n);
    const file = this.file(node);
    writeFileSync(file, "", { flag: "a" });
    const open = openSync(file, "r+");
    writeSync(open, bytes, 0, 8, 0);
    closeSync(open);
  }

  private file(node: number): string {
    return join(this.directory, `clock-${node}`);
  }
}

/** The command that starts something whose monotonic clock is ahead by so many seconds. */
export function shiftedBy(seconds: number): readonly string[] {
  if (seconds === 0) return [];
  const clocks = ["--time", `--monotonic=${seconds}`, `--boottime=${seconds}`];
  return ["unshare", "--fork", "--kill-child=SIGKILL", ...clocks];
}

/** Proves that clocks can be shifted. @throws SystemFault */
export function tryShifting(): void {
  const [command, ...args] = shiftedBy(1000);
  system(command as string, ...args, "true");
}
