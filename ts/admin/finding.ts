/** Finds what an operator names, and guesses what was meant where there is no such thing. */
import type { KeyspaceEntry, ShardEntry } from "../directory/state.ts";
import { type ErrorCode, RaftKVError } from "../errors.ts";
import type { FleetGroup, FleetNode } from "../fleet/state.ts";
import { nearestName } from "../names.ts";
import type { AdminPorts } from "./ports.ts";

/** The node of a name, or of the address that others reach it at. @throws `NOT_FOUND` */
export function findNode(ports: AdminPorts, name: string): FleetNode {
  const nodes = [...ports.fleet().nodes.values()];
  const found = nodes.find((node) => [node.name, node.address, brief(node.name)].includes(name));
  if (found !== undefined) return found;
  const names = nodes.map((node) => node.name);
  throw missing("NOT_FOUND", "node", name, names);
}

/** The active group of a name. @throws `NOT_FOUND` */
export function findGroup(ports: AdminPorts, name: string): FleetGroup {
  const { groups } = ports.fleet();
  const group = groups.get(name);
  if (group?.state === "active") return group;
  throw missing(
    "NOT_FOUND",
    "consensus group",
    name,
    groups.values().map((known) => known.name),
  );
}

/** The keyspace of a name. @throws `NO_SUCH_KEYSPACE`, `NOT_ACTIVE` */
export function findKeyspace(ports: AdminPorts, name: string): KeyspaceEntry {
  const { keyspaces } = ports.directory();
  const keyspace = keyspaces.get(name);
  if (keyspace !== undefined) return keyspace;
  throw missing("NO_SUCH_KEYSPACE", "keyspace", name, [...keyspaces.keys()]);
}

/** The shard of a name. @throws `NO_SUCH_SHARD`, `NOT_ACTIVE` */
export function findShard(ports: AdminPorts, name: string): ShardEntry {
  const shards = [...ports.directory().keyspaces.values()].flatMap((keyspace) => keyspace.shards);
  const shard = shards.find((known) => known.name === name);
  if (shard !== undefined) return shard;
  const names = shards.map((known) => known.name);
  throw missing("NO_SUCH_SHARD", "shard", name, names);
}

/** What people may leave out of a node's name: that it is one. */
function brief(name: string): string {
  return name.replace(/^node-/, "");
}

function missing(code: ErrorCode, what: string, name: string, known: string[]): RaftKVError {
  const near = nearestName(name, known);
  const hint = near === null ? "" : ` Is ${near} meant?`;
  return new RaftKVError(code, `There is no ${what} ${name}.${hint}`, { outcome: "not applied" });
}
