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

/**
 * All groups here know a leader and reach a majority of their members, without which a leader is
 * none, and what is committed is applied soon.
 */
export function readinessOf(core: Core): Readiness {
  const reasons: string[] = [];
  if (!core.cluster.isJoined) reasons.push("the node is not in its cluster");
  const gone = core.duties.unreachableNodes();
  const leaderless: string[] = [];
  const cutOff: string[] = [];
  for (const id of [FLEET_GROUP, ...core.groups.storedGroups()]) {
    const replica = core.host.replica(id);
    if (replica === undefined) continue;
    const { members = [] } = core.fleet.groups.byId(id) ?? {};
    const reached = members.filter((member) => !gone.has(member)).length;
    if (!replica.isServed) leaderless.push(replica.name);
    else if (reached * 2 <= members.length && members.length > 0) cutOff.push(replica.name);
  }
  const some = (names: readonly string[]) =>
    `${names.length} groups of this node, such as ${names.slice(0, NAMED).join(", ")},`;
  if (leaderless.length > 0) reasons.push(`${some(leaderless)} have no leader`);
  if (cutOff.length > 0) reasons.push(`${some(cutOff)} reach no majority of their members`);
  const { eventBytes } = core.engine.statistics();
  if (eventBytes > READY_APPLY_BYTES_MAX) {
    reasons.push(`${eventBytes} bytes of committed entries wait to be applied`);
  }
  return { ready: reasons.length === 0, reasons };
}
