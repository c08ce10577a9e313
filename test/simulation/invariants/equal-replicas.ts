/** Replicas with the same entries applied are equal (`design/architecture.md`, guarantee 3). */

import type { Replica } from "../../../ts/host/replica.ts";
import { ShardMachine } from "../../../ts/shard/machine.ts";

/** `expected` has applied everything; a replica that has not is not judged. */
export function checkEqual(expected: Replica, found: Replica, node: number): void {
  if (found.applied !== expected.applied || !found.whole) return;
  const [right, other] = [expected.machine, found.machine];
  if (!(right instanceof ShardMachine) || !(other instanceof ShardMachine)) return;
  if (checksumOf(expected) !== checksumOf(found)) {
    throw new Error(`the replica of ${found.name} on node ${node} differs at ${found.applied}`);
  }
  const sessions = (replica: Replica) => JSON.stringify(sorted(replica.sessions.image()));
  if (sessions(expected) !== sessions(found)) {
    throw new Error(`the sessions of ${found.name} on node ${node} differ at ${found.applied}`);
  }
}

function checksumOf(replica: Replica): string {
  const pass = replica.checksum();
  for (;;) {
    const checksum = pass.next(2 ** 20);
    if (checksum === null) continue;
    pass.close();
    return checksum;
  }
}

function sorted(image: ReturnType<Replica["sessions"]["image"]>) {
  const results = (one: (typeof image)[number]) =>
    one.results.map(([, , request, hash, [kind]]) => `${request}/${hash}/${kind}`).sort();
  return image
    .map((one) => [one.node, one.incarnation, one.lastBatch, one.acknowledged, results(one)])
    .sort((a, b) => Number(a[0]) - Number(b[0]));
}
