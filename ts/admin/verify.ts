/**
 * Compares the replicas of every shard and every program's group: a command in the group's log has
 * each replica compute a checksum of its state at that index, and each node is asked for its own.
 * raft-kv's own groups are left out: no code of a user runs in them.
 */
import { RaftKVError } from "../errors.ts";
import type { FleetGroup } from "../fleet/state.ts";
import { VERIFIED_AT_ONCE } from "../limits.ts";
import { findGroup } from "./finding.ts";
import type { AdminPorts } from "./ports.ts";
import type { GroupChecksums, ReplicaChecksum, VerifyView } from "./types.ts";

/** A check that another one ended is begun again so often. */
const ATTEMPTS = 3;

/** See the head of this file. With `name` that group alone. @throws `NOT_FOUND`, `INVALID_ARGUMENT` */
export async function verify(ports: AdminPorts, name?: string): Promise<VerifyView> {
  const left = name === undefined ? comparable(ports) : [named(ports, name)];
  const groups: GroupChecksums[] = [];
  const work = async () => {
    for (let group = left.shift(); group !== undefined; group = left.shift()) {
      groups.push(await checksumsOf(ports, group));
    }
  };
  await Promise.all(Array.from({ length: VERIFIED_AT_ONCE }, work));
  groups.sort((a, b) => a.group.localeCompare(b.group, "en", { numeric: true }));
  return { verified: groups.every(({ result }) => result === "equal"), groups };
}

function comparable(ports: AdminPorts): FleetGroup[] {
  return [...ports.fleet().groups.values()].filter(
    ({ state, system, created }) => state === "active" && !system && created,
  );
}

function named(ports: AdminPorts, name: string): FleetGroup {
  const group = findGroup(ports, name);
  if (!group.system) return group;
  const message = `no program's code runs in ${name}: there is nothing to compare`;
  throw new RaftKVError("INVALID_ARGUMENT", message, { group: name });
}

async function checksumsOf(ports: AdminPorts, group: FleetGroup): Promise<GroupChecksums> {
  let last = await attempt(ports, group);
  for (let more = 1; more < ATTEMPTS && last.result === "incomplete"; more++) {
    last = await attempt(ports, group);
  }
  return last;
}

async function attempt(ports: AdminPorts, { id, name, members }: FleetGroup) {
  const index = await ports.beginChecksums(id).catch(() => null);
  const found =
    index === null ? new Map() : await ports.reports.checksums(members, { group: id, index });
  const replicas = members.map((node): ReplicaChecksum => {
    return { node: ports.nameOf(node), checksum: found.get(node) ?? null };
  });
  const known = new Set(replicas.flatMap(({ checksum }) => checksum ?? []));
  const complete = replicas.every(({ checksum }) => checksum !== null);
  const result: GroupChecksums["result"] =
    known.size > 1 ? "different" : complete ? "equal" : "incomplete";
  return { group: name, index, replicas, result };
}
