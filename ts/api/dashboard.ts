/** What the dashboard is told of this node: what it knows by itself, and which groups others lead. */
import type { DashboardNode, DashboardSource } from "../dashboard/dashboard.ts";
import type { Told } from "../dashboard/happenings.ts";
import { type Sampled, total } from "../dashboard/history.ts";
import type { Counted, Counters } from "../dashboard/rates.ts";
import type { GroupOfView, KeyspaceOfView, NodeOfView, NodeState } from "../dashboard/types.ts";
import { DIRECTORY_NAME, type DirectoryState, type KeyspaceEntry } from "../directory/state.ts";
import { FLEET_NAME, type FleetGroup, type FleetNode, isPartOf } from "../fleet/state.ts";
import { DASHBOARD_GROUPS_MAX, DASHBOARD_KEYSPACES_MAX, DASHBOARD_SHARDS_MAX } from "../limits.ts";
import { COMMAND_BUCKETS, type Histogram, QUERY_BUCKETS } from "../metrics/histogram.ts";
import { loadRatio } from "../policy.ts";
import { VERSION } from "../version.ts";
import type { Core } from "./core.ts";
import type { RaftKVEventEmitter, RaftKVEvents } from "./events.ts";
import type { LocalKeyspaces } from "./keyspaces.ts";
import { readinessOf } from "./readiness.ts";

/** The active node. */
export interface ActiveNode {
  readonly core: Core;
  readonly keyspaces: LocalKeyspaces;
}

/** Orders texts with numbers in them as people do. */
const ORDER = new Intl.Collator("en", { numeric: true });

type Say<Name extends keyof RaftKVEvents> = (
  ...given: RaftKVEvents[Name]
) => Pick<Told, "text" | "about">;

/** See the head of this file. */
export function dashboardSource(
  active: () => ActiveNode | undefined,
  events: RaftKVEventEmitter,
): DashboardSource {
  let shown: ShownNode | undefined;
  return {
    node() {
      const now = active();
      if (shown?.active !== now) shown = now && new ShownNode(now);
      return shown;
    },
    follow: (happened) => follow(events, happened),
  };
}

class ShownNode implements DashboardNode {
  readonly active: ActiveNode;
  /** Leaders of groups of which there is no replica here, as they told when they were asked. */
  private elsewhere: ReadonlyMap<number, number> = new Map();

  constructor(active: ActiveNode) {
    this.active = active;
  }

  state(): NodeState {
    return stateOf(this.active, this.elsewhere);
  }

  sampled(): Sampled[] {
    return sampledOf(this.active.keyspaces.directory);
  }

  counters(): Counters {
    return countersOf(this.active);
  }

  lookAround(): void {
    const { fleet, host, duties, reports, nodeId } = this.active.core;
    if (fleet.groups.values().every(({ id }) => host.replica(id) !== undefined)) return;
    const gone = duties.unreachableNodes();
    const others = [...fleet.nodes.keys()].filter((id) => id !== nodeId && !gone.has(id));
    reports.leaders(others).then(
      (leaders) => {
        this.elsewhere = leaders;
      },
      // They are asked again soon, and this node may be closing.
      () => undefined,
    );
  }
}

function follow(events: RaftKVEventEmitter, happened: (told: Told) => void): () => void {
  const undo: (() => void)[] = [];
  const tell = <Name extends keyof RaftKVEvents>(kind: Name, say: Say<Name>) => {
    const listener = (...given: unknown[]) =>
      happened({ at: Date.now(), kind, ...say(...(given as RaftKVEvents[Name])) });
    events.on(kind as "warning", listener);
    undo.push(() => events.off(kind as "warning", listener));
  };
  const waiting = (pause: number) => `keys were closed for ${Math.round(pause)} ms`;
  tell("split", ({ from, to, pause }) => ({
    text: `${from} gave half of its range to ${to}; ${waiting(pause)}`,
    about: `split ${to}`,
  }));
  tell("merge", ({ from, to, pause }) => ({
    text: `${from} was merged into ${to}; ${waiting(pause)}`,
    about: `merge ${from}`,
  }));
  tell("leaderChange", ({ group, node }) => ({
    text: node === null ? `${group} has no leader` : `${group} is led by ${brief(node)}`,
    about: `leader of ${group}`,
  }));
  const plain = (text: string) => ({ text, about: text });
  tell("nodeUnreachable", ({ node }) => plain(`${brief(node)} is out of reach`));
  tell("nodePurged", ({ node }) => plain(`${brief(node)} was taken for lost, and is replaced`));
  tell("replicaDivergence", ({ group, node }) =>
    plain(`the replica of ${group} on ${brief(node)} differs`),
  );
  tell("warning", ({ code, message }) => plain(`${code}: ${message}`));
  return () => {
    for (const each of undo) each();
  };
}

/** A node's name without what all of them begin with, as the page has it everywhere. */
function brief(node: string): string {
  return node.replace(/^node-/, "");
}

function stateOf(
  { core, keyspaces }: ActiveNode,
  elsewhere: ReadonlyMap<number, number>,
): NodeState {
  const { fleet } = core;
  const all = [...fleet.groups.values()];
  const groups = all.map((group) => groupOf(core, group, elsewhere));
  const shown = [...groups].sort((a, b) => rank(a) - rank(b) || ORDER.compare(a.name, b.name));
  const leaders = new Map(groups.map(({ name, leader }) => [name, leader]));
  const known = [...(keyspaces.directory?.keyspaces.values() ?? [])].sort(byName);
  const workflows = keyspaces.directory?.workflows ?? new Map();
  return {
    ...{ node: core.nodeName, cluster: core.settings.clusterName, version: VERSION },
    ...readinessOf(core),
    nodes: nodesOf(core, groups, all),
    groupCount: groups.length,
    groups: shown.slice(0, DASHBOARD_GROUPS_MAX),
    keyspaceCount: known.length,
    keyspaces: known
      .slice(0, DASHBOARD_KEYSPACES_MAX)
      .map((keyspace) => keyspaceOf(keyspace, workflows, leaders)),
    loadInterval: core.settings.statsCollectionInterval,
  };
}

/** Groups in trouble come first, then raft-kv's own. */
function rank({ state, name }: GroupOfView): number {
  if (state === "no leader") return 0;
  if (state !== "ok") return 1;
  return name === FLEET_NAME || name === DIRECTORY_NAME ? 2 : 3;
}

function nodesOf(
  core: Core,
  groups: readonly GroupOfView[],
  fleetGroups: readonly FleetGroup[],
): NodeOfView[] {
  const gone = core.duties.unreachableNodes();
  const voters = counted(fleetGroups.flatMap(({ members }) => members));
  const leads = counted(groups.map(({ leader }) => leader));
  const nodes = [...core.fleet.nodes.values()].map((node): NodeOfView => {
    const { id, name, zone, address } = node;
    return {
      ...{ name, zone, address, health: healthOf(node, gone.has(id)) },
      voters: voters.get(id) ?? 0,
      leads: leads.get(name) ?? 0,
    };
  });
  return nodes.sort((a, b) => ORDER.compare(a.zone, b.zone) || byName(a, b));
}

function counted<T>(items: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

function healthOf(node: FleetNode, isGone: boolean): NodeOfView["health"] {
  if (node.purged) return "purged";
  if (isGone || node.unreachableSince !== null) return "unreachable";
  if (node.state === "leaving") return "leaving";
  return node.drained === true ? "drained" : "active";
}

function groupOf(
  core: Core,
  group: FleetGroup,
  elsewhere: ReadonlyMap<number, number>,
): GroupOfView {
  const { id, name, members } = group;
  const replica = core.host.replica(id);
  const leader = (replica === undefined ? elsewhere.get(id) : replica.leader) ?? 0;
  const isHere = isPartOf(group, core.nodeId);
  return {
    name,
    leader: leader === 0 ? null : core.nameOf(leader),
    members: members.map((node) => core.nameOf(node)),
    state: groupState(group, isHere && leader === 0),
  };
}

function groupState(group: FleetGroup, isLeaderless: boolean): GroupOfView["state"] {
  if (group.state === "removing") return "removing";
  if (!group.created) return "new";
  if (isLeaderless) return "no leader";
  return group.confirmed === group.version ? "ok" : "moving";
}

function keyspaceOf(
  { name, policy, shards }: KeyspaceEntry,
  workflows: DirectoryState["workflows"],
  leaders: ReadonlyMap<string, string | null>,
): KeyspaceOfView {
  const doing = (lock: number | null) => {
    const workflow = lock === null ? undefined : workflows.get(lock);
    return workflow === undefined ? null : `${workflow.kind}: ${workflow.step}`;
  };
  return {
    name,
    count: shards.length,
    keys: total(shards.map(({ statistics }) => statistics?.keys ?? null)),
    shards: shards.slice(0, DASHBOARD_SHARDS_MAX).map(({ statistics, lock, ...shard }) => ({
      ...{ name: shard.name, start: shard.start, end: shard.end, doing: doing(lock) },
      keys: statistics?.keys ?? null,
      size: statistics?.size ?? null,
      load: statistics?.load ?? null,
      filled: statistics === null ? 0 : loadRatio(policy, statistics),
      leader: leaders.get(shard.name) ?? null,
    })),
  };
}

function sampledOf(directory: DirectoryState | undefined): Sampled[] {
  const known = [...(directory?.keyspaces.values() ?? [])].sort(byName);
  return known.slice(0, DASHBOARD_KEYSPACES_MAX).map(({ name, shards }) => ({
    name,
    shards: shards.map(({ start, statistics }) => ({
      ...{ start, load: statistics?.load ?? null, keys: statistics?.keys ?? null },
    })),
  }));
}

function countersOf({ core, keyspaces }: ActiveNode): Counters {
  const { client } = core;
  const asked = keyspaces.asked();
  const commands = [...client.metrics.durations.values()].flatMap(({ ok, error }) => [ok, error]);
  return {
    at: Date.now(),
    commands: client.sent,
    queries: asked.reduce((sum, { count }) => sum + count, 0),
    inFlight: client.inFlight,
    command: together(COMMAND_BUCKETS, commands),
    query: together(
      QUERY_BUCKETS,
      asked.map(({ durations }) => durations),
    ),
  };
}

function together(buckets: readonly number[], histograms: readonly Histogram[]): Counted {
  const counts = Array.from({ length: buckets.length + 1 }, () => 0);
  for (const one of histograms) {
    for (const [at, count] of one.counts.entries()) counts[at] = (counts[at] ?? 0) + count;
  }
  return { buckets, counts };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return ORDER.compare(a.name, b.name);
}
