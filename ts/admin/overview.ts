/**
 * The cluster as an operator sees it: from the fleet's and the directory's state on this node, and
 * from what the nodes report of themselves.
 */
import type { DirectoryState } from "../directory/state.ts";
import type { TransferWorkflow } from "../directory/workflow.ts";
import type { FleetGroup, FleetNode } from "../fleet/state.ts";
import { TOP_SHARDS_MAX } from "../limits.ts";
import { loadRatio } from "../policy.ts";
import { VERSION } from "../version.ts";
import { countingOn } from "./moves.ts";
import type { AdminPorts } from "./ports.ts";
import type { NodeReport } from "./reports.ts";
import type {
  GroupView,
  HotShard,
  KeyspaceView,
  NodeState,
  NodeView,
  StatusView,
  TopView,
  TransferView,
} from "./types.ts";

type Reports = ReadonlyMap<number, NodeReport | undefined>;

/** The cluster at a glance. */
export async function status(ports: AdminPorts): Promise<StatusView> {
  const fleet = ports.fleet();
  const reports = await ports.reports.reports(fleet.nodes.keys());
  const nodes = nodeViews(ports, reports);
  const groups = groupViews(ports, reports).filter(({ state }) => state !== "removing");
  const keyspaces = ports.hasDirectory ? keyspaceViews(ports.directory()) : [];
  const problems = problemsOf(nodes, groups);
  const sum = (of: "shards" | "keys" | "load") =>
    keyspaces.reduce((total, keyspace) => total + keyspace[of], 0);
  return {
    clusterName: ports.clusterName,
    clusterId: fleet.clusterId,
    node: ports.nameOf(ports.node),
    version: VERSION,
    healthy: problems.length === 0,
    problems,
    nodes: { total: nodes.length, reachable: nodes.filter(({ leads }) => leads !== null).length },
    groups: {
      total: groups.length,
      withoutLeader: groups.filter(({ state }) => state === "no leader").length,
      moving: groups.filter(({ state }) => state === "moving").length,
    },
    keyspaces: keyspaces.length,
    shards: sum("shards"),
    keys: sum("keys"),
    load: sum("load"),
    transfers: ports.hasDirectory ? transferViews(ports.directory()) : [],
  };
}

/** All nodes, sorted by zone and name. */
export async function nodes(ports: AdminPorts): Promise<NodeView[]> {
  const reports = await ports.reports.reports(ports.fleet().nodes.keys());
  return nodeViews(ports, reports);
}

/** All groups, raft-kv's own first, then by name. */
export async function groups(ports: AdminPorts): Promise<GroupView[]> {
  const reports = await ports.reports.reports(ports.fleet().nodes.keys());
  return groupViews(ports, reports);
}

/** All keyspaces with what their shards last reported, by name. */
export function keyspaceViews(directory: DirectoryState): KeyspaceView[] {
  const views = [...directory.keyspaces.values()].map(({ name, policy, settings, shards }) => {
    const sum = (of: "keys" | "size" | "load") =>
      shards.reduce((total, { statistics }) => total + (statistics?.[of] ?? 0), 0);
    const set = Object.entries(policy).filter(([, value]) => value !== undefined);
    return {
      name,
      shards: shards.length,
      keys: sum("keys"),
      size: sum("size"),
      load: sum("load"),
      replicas: settings.replicas,
      policy: Object.fromEntries(set) as Record<string, number>,
    };
  });
  return views.sort(byName);
}

/** The shards under the greatest load, by what they last reported. */
export async function top(ports: AdminPorts, limit: number): Promise<TopView> {
  const leaders = leadersOf(await ports.reports.reports(ports.fleet().nodes.keys()));
  const shards: HotShard[] = [];
  for (const { name: keyspace, policy, shards: known } of ports.directory().keyspaces.values()) {
    for (const { name, group, statistics } of known) {
      const { keys, size, load } = statistics ?? { keys: 0, size: 0, load: 0 };
      const leader = leaders.get(group);
      const filled = loadRatio(policy, { keys, size, load });
      const by = leader === undefined ? null : ports.nameOf(leader);
      shards.push({ shard: name, keyspace, leader: by, keys, size, load, filled });
    }
  }
  shards.sort((a, b) => b.load - a.load || b.filled - a.filled || compare(a.shard, b.shard));
  const shown = Math.min(limit, TOP_SHARDS_MAX);
  return { intervalMs: ports.statsInterval, shards: shards.slice(0, shown) };
}

/** Splits and merges that are under way, oldest first. */
export function transferViews(directory: DirectoryState): TransferView[] {
  return [...directory.workflows.values()]
    .filter((one): one is TransferWorkflow => one.kind === "split" || one.kind === "merge")
    .map(({ kind, keyspace, sender, receiver, step, startedAt }) => ({
      ...{ kind, keyspace, step },
      from: sender.name,
      to: receiver.name,
      since: new Date(startedAt).toISOString(),
    }));
}

function nodeViews(ports: AdminPorts, reports: Reports): NodeView[] {
  const gone = ports.unreachable();
  const views = [...ports.fleet().nodes.values()].map((node): NodeView => {
    const { id, name, zone, address, version } = node;
    const report = reports.get(id);
    const since = gone.get(id);
    return {
      ...{ name, zone, address },
      state: nodeState(ports, node, since),
      unreachableSince: since?.toISOString() ?? null,
      version: report?.version ?? version,
      voters: countingOn(ports, id).length,
      leads: report?.leads.length ?? null,
      uptimeSeconds: report?.uptimeSeconds ?? null,
      memoryBytes: report?.memoryBytes ?? null,
      diskBytes: report?.diskBytes ?? null,
      requestsInFlight: report?.requestsInFlight ?? null,
    };
  });
  return views.sort((a, b) => compare(a.zone, b.zone) || byName(a, b));
}

function nodeState(ports: AdminPorts, node: FleetNode, gone: Date | undefined): NodeState {
  if (node.purged) return "purged";
  if (node.unreachableSince !== null || gone !== undefined) return "unreachable";
  if (node.state === "leaving") return "leaving";
  if (!node.drained) return "active";
  return countingOn(ports, node.id).length === 0 ? "drained" : "draining";
}

function groupViews(ports: AdminPorts, reports: Reports): GroupView[] {
  const leaders = leadersOf(reports);
  const views = [...ports.fleet().groups.values()].map((group): GroupView => {
    const { id, name, system, replicas, members, learners } = group;
    const leader = leaders.get(id);
    return {
      ...{ name, id, system, replicas },
      leader: leader === undefined ? null : ports.nameOf(leader),
      members: members.map((node) => ports.nameOf(node)),
      learners: learners.map((node) => ports.nameOf(node)),
      state: groupState(group, leader),
    };
  });
  return views.sort((a, b) => Number(b.system) - Number(a.system) || byName(a, b));
}

function groupState(group: FleetGroup, leader: number | undefined): GroupView["state"] {
  if (group.state === "removing") return "removing";
  if (!group.created) return "new";
  if (leader === undefined) return "no leader";
  return group.confirmed === group.version ? "ok" : "moving";
}

function leadersOf(reports: Reports): Map<number, number> {
  const leaders = new Map<number, number>();
  for (const [node, report] of reports) {
    for (const group of report?.leads ?? []) leaders.set(group, node);
  }
  return leaders;
}

function problemsOf(nodes: readonly NodeView[], groups: readonly GroupView[]): string[] {
  const problems: string[] = [];
  for (const { name, state, unreachableSince, leads } of nodes) {
    if (unreachableSince !== null) {
      problems.push(`node ${name} is out of reach since ${unreachableSince}`);
    } else if (leads === null) problems.push(`node ${name} does not answer`);
    else if (state === "purged") problems.push(`node ${name} was taken for lost and is replaced`);
  }
  for (const { name, state } of groups) {
    if (state === "no leader") problems.push(`group ${name} has no leader`);
  }
  return problems;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return compare(a.name, b.name);
}

/** Orders texts with numbers in them as people do. */
function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
