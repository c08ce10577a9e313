/** A thousand rounds of opening and closing leave no thread, handle or memory behind. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createNode } from "../../../ts/index.ts";
import { counterModule } from "../support/modules.ts";
import { scratchDirectory } from "../support/nodes.ts";
import { eventually } from "../support/waiting.ts";

/** So many rounds until the allocator has what it keeps. */
const WARM_UP = 150;
const MEMORY_ROUNDS = 1_000;
const DISK_ROUNDS = 40;
/** A node is about 2 MiB; a leak of one kilobyte a round would pass, one of a node would not. */
const MIB_MAX = 64;

interface Usage {
  readonly threads: number;
  readonly handles: number;
  readonly resources: number;
  readonly mebibytes: number;
}

function usage(): Usage {
  (globalThis as { gc?: () => void }).gc?.();
  return {
    threads: readdirSync("/proc/self/task").length,
    handles: readdirSync("/proc/self/fd").length,
    resources: process.getActiveResourcesInfo().length,
    mebibytes: process.memoryUsage.rss() / 1024 / 1024,
  };
}

async function round(dataDir: string, at: number): Promise<void> {
  const node = createNode({ dataDir });
  await node.fleet.activate("zone");
  if (at % 10 === 0) {
    await node.kv.init();
    const policy = { maxShards: 1 };
    const keyspace = await node.kv.openKeyspace("k", counterModule, null, policy);
    await keyspace.command("key", "add");
  }
  await node.close();
}

async function measured(rounds: number, dataDir: string): Promise<void> {
  for (let at = 0; at < WARM_UP; at++) await round(dataDir, at);
  const before = usage();
  for (let at = 0; at < rounds; at++) await round(dataDir, at);
  // Threads that wait for more work end by themselves after some seconds.
  await eventually("the threads end", () => usage().threads <= before.threads + 2);
  const after = usage();
  expect(after.handles, "file descriptors").toBeLessThanOrEqual(before.handles + 2);
  expect(after.resources, "active resources").toBeLessThanOrEqual(before.resources + 2);
  expect(after.mebibytes - before.mebibytes, "MiB of memory").toBeLessThan(MIB_MAX);
}

describe.skipIf(process.platform !== "linux")("opening and closing", () => {
  it(`${MEMORY_ROUNDS} nodes in memory`, () => measured(MEMORY_ROUNDS, ":memory:"), 120_000);
  it(`${DISK_ROUNDS} times on disk`, () => measured(DISK_ROUNDS, scratchDirectory()), 60_000);
});
