/** Nodes and scratch directories of one test, closed and removed after it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { createNode, type NodeOptions, type RaftKVNode } from "../../../ts/index.ts";

/** Intervals short enough to see many splits and merges within one test. */
export const QUICK: NodeOptions = {
  statsCollectionInterval: 50,
  workflowExecutionInterval: 20,
  shardIneligiblePeriodAfterSplitOrMerge: 50,
};

const nodes: RaftKVNode[] = [];
const directories: string[] = [];

/** A node that keeps nothing, not yet active. */
export function newNode(options: NodeOptions = {}): RaftKVNode {
  const node = createNode({ dataDir: ":memory:", ...options });
  nodes.push(node);
  return node;
}

/** An active node with keyspaces. */
export async function openNode(options: NodeOptions = {}): Promise<RaftKVNode> {
  const node = newNode(options);
  await node.fleet.activate("zone", {});
  await node.kv.init();
  return node;
}

/** A directory that is removed after the test. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-test-"));
  directories.push(directory);
  return directory;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
  for (const directory of directories.splice(0)) {
    rmSync(directory, { recursive: true, force: true });
  }
});
