/** What replicas of a group are, as their checksums say. Programs have no use for it. */
import { expect } from "vitest";
import type { Core } from "../../../ts/api/core.ts";
import type { Replica } from "../../../ts/host/replica.ts";
import type { RaftKVNode } from "../../../ts/index.ts";
import { eventually } from "./waiting.ts";

export function coreOf(node: RaftKVNode): Core {
  return (node.fleet as unknown as { lifecycle: { core(): Core } }).lifecycle.core();
}

/** A node's replica of a group. */
export function replicaOf(node: RaftKVNode, group: string): Replica {
  const core = coreOf(node);
  const replica = core.host.replica(core.group(group)?.id ?? -1);
  if (replica === undefined) throw new Error(`no replica of ${group} here`);
  return replica;
}

/** The checksum of a node's replica now. */
export function checksumOf(replica: Replica): string {
  const pass = replica.checksum();
  for (;;) {
    const checksum = pass.next(Number.POSITIVE_INFINITY);
    if (checksum !== null) {
      pass.close();
      return checksum;
    }
  }
}

/** Waits until all nodes' replicas serve, have applied the same, and are the same. */
export async function equalStates(nodes: readonly RaftKVNode[], group: string): Promise<void> {
  await eventually(`equal replicas of ${group}`, () => {
    const replicas = nodes.map((node) => replicaOf(node, group));
    if (!replicas.every(({ whole }) => whole)) return false;
    // What was compared last is what they are now: nothing but the comparison itself came since.
    const [first] = replicas as [Replica];
    const isSettled = replicas.every(
      ({ applied, verified }) => applied === first.applied && verified > first.applied - 3,
    );
    return isSettled && replicas.every((replica) => checksumOf(replica) === checksumOf(first));
  });
}

/** Fails unless the replicas of a group are the same at this moment. */
export async function checkNow(nodes: readonly RaftKVNode[], group: string): Promise<void> {
  const sums = nodes.map((node) => checksumOf(replicaOf(node, group)));
  expect(new Set(sums).size).toBe(1);
}
