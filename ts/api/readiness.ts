/** Whether a node is ready to serve: what a probe asks before calls are sent to it. */
import { FLEET_GROUP } from "../fleet/state.ts";
import { READY_APPLY_BYTES_MAX } from "../limits.ts";
import type { Core } from "./core.ts";

/** See the head of this file. */
export interface Readiness {
  readonly ready: boolean;
  /** Why it is not, a sentence each. */
  readonly reasons: readonly string[];
}

/** Groups that are named in a reason. */
const NAMED = 5;

/** All groups here know a leader, and what is committed is applied soon. */
export function readinessOf(core: Core): Readiness {
  const reasons: string[] = [];
  if (!core.cluster.isJoined) reasons.push("the node is not in its cluster");
  const lost: string[] = [];
  for (const id of [FLEET_GROUP, ...core.groups.storedGroups()]) {
    const replica = core.host.replica(id);
    if (replica !== undefined && !replica.isServed) lost.push(replica.name);
  }
  if (lost.length > 0) {
    const names = lost.slice(0, NAMED).join(", ");
    reasons.push(`${lost.length} groups of this node have no leader, such as ${names}`);
  }
  const { eventBytes } = core.engine.statistics();
  if (eventBytes > READY_APPLY_BYTES_MAX) {
    reasons.push(`${eventBytes} bytes of committed entries wait to be applied`);
  }
  return { ready: reasons.length === 0, reasons };
}
