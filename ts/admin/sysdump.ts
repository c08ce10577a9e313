/**
 * Everything that helps somebody else to find out what is wrong with a cluster, as one JSON
 * document. It holds names of keyspaces and nodes, and no keys, values, tokens or private keys.
 */
import { toJson } from "./json.ts";
import { groups, keyspaceViews, nodes, status, transferViews } from "./overview.ts";
import type { AdminPorts } from "./ports.ts";
import type { Json } from "./types.ts";

/** See the head of this file. */
export async function sysdump(ports: AdminPorts): Promise<Json> {
  const fleet = ports.fleet();
  const [overview, known, members, details] = await Promise.all([
    status(ports),
    nodes(ports),
    groups(ports),
    ports.reports.details(fleet.nodes.keys()),
  ]);
  const directory = ports.hasDirectory ? ports.directory() : undefined;
  const shards = [...(directory?.keyspaces.values() ?? [])].flatMap((keyspace) =>
    keyspace.shards.map((shard) => ({ keyspace: keyspace.name, ...shard })),
  );
  const byName = [...details].map(([node, detail]) => [ports.nameOf(node), detail ?? null]);
  return toJson({
    takenAt: new Date().toISOString(),
    status: overview,
    nodes: known,
    groups: members,
    targets: [...fleet.groups.values()],
    keyspaces: directory === undefined ? [] : keyspaceViews(directory),
    shards,
    transfers: directory === undefined ? [] : transferViews(directory),
    workflows: [...(directory?.workflows.values() ?? [])],
    details: Object.fromEntries(byName),
  });
}
