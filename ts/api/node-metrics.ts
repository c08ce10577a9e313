/** The metrics of a node as Prometheus reads them: counters, engine statistics, cluster, shards. */
import { DIRECTORY_NAME, type DirectoryState, type ShardEntry } from "../directory/state.ts";
import { FLEET_GROUP } from "../fleet/state.ts";
import { Exposition, type Sample } from "../metrics/exposition.ts";
import { takeLoopDelay } from "../metrics/loop-delay.ts";
import { VERSION } from "../version.ts";
import type { Core } from "./core.ts";
import type { RaftKVEvents } from "./events.ts";
import type { LocalKeyspaces } from "./keyspaces.ts";

/** What metrics are given. */
export interface MetricsOptions {
  /** Series for each single shard as well; default false, since there may be many. */
  readonly shards?: boolean | undefined;
}

const EVERYWHERE = "(as this node knows it; the same on every node)";

/** See the head of this file. */
export function nodeMetrics(
  core: Core,
  keyspaces: LocalKeyspaces,
  { shards = false }: MetricsOptions = {},
): string {
  const out = new Exposition();
  out.gauge("build_info", "The running version; the value is always 1.", [
    [{ version: VERSION, node_version: process.version, node: core.nodeName }, 1],
  ]);
  calls(out, core, keyspaces);
  engine(out, core);
  groups(out, core);
  cluster(out, core);
  if (keyspaces.directory !== undefined) directory(out, keyspaces.directory, shards);
  eventLoop(out);
  return out.text();
}

function calls(out: Exposition, { client }: Core, keyspaces: LocalKeyspaces): void {
  const { metrics } = client;
  const durations = [...metrics.durations].flatMap(([route, { ok, error }]) => {
    const keyspace = keyspaces.keyspaceOf(route);
    if (keyspace === undefined) {
      // The keyspace is gone, and its number is never used again.
      metrics.durations.delete(route);
      return [];
    }
    return [
      [{ keyspace, outcome: "ok" }, ok],
      [{ keyspace, outcome: "error" }, error],
    ] as const;
  });
  out.histogram(
    "command_duration_seconds",
    "Time from a command's call to its answer. Sampled: the first command of each tick.",
    durations,
  );
  const asked = keyspaces.asked();
  out.histogram(
    "query_duration_seconds",
    "Time from a query's call to its answer. Sampled: one query of a keyspace in 64.",
    asked.map(({ name, durations: taken }) => [{ keyspace: name }, taken]),
  );
  out.counter(
    "queries_total",
    "Queries that this node's program made.",
    asked.map(({ name, count }) => [{ keyspace: name }, count]),
  );
  out.counter(
    "commands_total",
    "Commands that this node sent, its program's and raft-kv's own.",
    client.sent,
  );
  out.gauge("requests_in_flight", "Commands that have no answer yet.", client.inFlight);
  out.counter(
    "command_retries_total",
    "Times that a command was not settled by an attempt, by reason.",
    Object.entries(metrics.retries).map(([reason, count]) => [{ reason }, count]),
  );
  out.counter(
    "command_failures_total",
    "Commands that failed, by the error's code.",
    [...metrics.failures].map(([code, count]) => [{ code }, count]),
  );
}

function engine(out: Exposition, core: Core): void {
  const of = core.engine.statistics();
  out.counter("proposals_total", "Entries that this node proposed as leader.", of.entriesProposed);
  out.counter(
    "entries_applied_total",
    "Entries with commands given to this node's replicas.",
    of.entriesApplied,
  );
  out.counter(
    "proposals_refused_total",
    "Commands refused after the engine took them.",
    of.commandsRefused,
  );
  out.gauge("proposals_pending", "Commands taken and not yet applied.", of.pendingCommands);
  out.gauge(
    "proposals_pending_bytes",
    "Bytes of commands taken and not yet applied.",
    of.pendingBytes,
  );
  out.gauge(
    "apply_queue_bytes",
    "Bytes of committed entries that wait to be applied here.",
    of.eventBytes,
  );
  out.counter("snapshots_total", "Snapshots that this node wrote.", of.snapshots);
  out.counter("log_rounds_total", "Rounds of writing that the log made.", of.journalRounds);
  out.counter(
    "log_flushes_total",
    "Times that the disk was asked to make the log durable.",
    of.journalFlushes,
  );
  out.gauge(
    "log_last_flush_duration_seconds",
    "How long the last round took to be written and made durable.",
    of.journalLastFlushNanoseconds / 1e9,
  );
  out.gauge(
    "log_cached_bytes",
    "Bytes of entries that the log keeps in memory.",
    of.journalCachedBytes,
  );
  out.gauge("store_disk_bytes", "Bytes that the node's data takes on disk.", of.journalDiskBytes);
}

function groups(out: Exposition, core: Core): void {
  let leader = 0;
  let follower = 0;
  let withoutLeader = 0;
  for (const id of [FLEET_GROUP, ...core.groups.storedGroups()]) {
    const replica = core.host.replica(id);
    if (replica?.leading) leader++;
    else follower++;
    if (replica !== undefined && !replica.isServed) withoutLeader++;
  }
  out.gauge("groups", "Groups of which this node holds a replica, by its role.", [
    [{ role: "leader" }, leader],
    [{ role: "follower" }, follower],
  ]);
  out.gauge("groups_without_leader", "Groups of this node that have no leader.", withoutLeader);
  const count = (name: keyof RaftKVEvents) => core.events.counts.get(name) ?? 0;
  out.counter("leader_changes_total", "Leader changes that this node saw.", count("leaderChange"));
  out.counter("splits_total", "Splits that this node carried out.", count("split"));
  out.counter("merges_total", "Merges that this node carried out.", count("merge"));
  out.counter("warnings_total", "Warnings that this node told its program.", count("warning"));
  out.counter(
    "replica_divergences_total",
    "Times that a replica's state was found to differ.",
    count("replicaDivergence"),
  );
}

function cluster(out: Exposition, core: Core): void {
  const gone = core.duties.unreachableNodes();
  const peers: Sample[] = [];
  for (const { id, name } of core.fleet.nodes.values()) {
    if (id !== core.nodeId) peers.push([{ peer: name }, gone.has(id) ? 0 : 1]);
  }
  out.gauge("peer_up", "Whether this node reaches another.", peers);
  const moving = [...core.fleet.groups.values()].filter((one) => one.confirmed !== one.version);
  out.gauge("nodes", `Nodes of the cluster ${EVERYWHERE}.`, core.fleet.nodes.size);
  out.gauge("groups_moving", `Groups whose members move ${EVERYWHERE}.`, moving.length);
}

function directory(out: Exposition, { keyspaces, workflows }: DirectoryState, each: boolean): void {
  const all = [...keyspaces.values()];
  const of = (value: (shards: readonly ShardEntry[]) => number): Sample[] =>
    all.map(({ name, shards }) => [{ keyspace: name }, value(shards)]);
  out.gauge(
    "shards",
    `Shards ${EVERYWHERE}.`,
    of((shards) => shards.length),
  );
  for (const field of ["keys", "size", "load"] as const) {
    const values = (shards: readonly ShardEntry[]) =>
      shards.map(({ statistics }) => statistics?.[field] ?? 0);
    const what = field === "load" ? "load per statistics interval" : field;
    out.gauge(
      `keyspace_${field}`,
      `The keyspace's ${what} ${EVERYWHERE}.`,
      of((s) => sum(values(s))),
    );
    out.gauge(
      `shard_${field}_max`,
      `Greatest ${what} of a shard ${EVERYWHERE}.`,
      of((s) => Math.max(0, ...values(s))),
    );
    out.gauge(
      `shard_${field}_median`,
      `Median ${what} of the shards ${EVERYWHERE}.`,
      of((s) => median(values(s))),
    );
    if (!each) continue;
    const single = all.flatMap(({ name, shards }) =>
      shards.map((shard): Sample => {
        return [{ keyspace: name, shard: shard.name }, shard.statistics?.[field] ?? 0];
      }),
    );
    out.gauge(`shard_${field}`, `The shard's ${what} ${EVERYWHERE}.`, single);
  }
  const kinds = ["split", "merge", "register", "deregister"] as const;
  out.gauge(
    "workflows",
    `What the leader of ${DIRECTORY_NAME} is at ${EVERYWHERE}.`,
    kinds.map((kind) => [
      { kind },
      [...workflows.values()].filter((workflow) => workflow.kind === kind).length,
    ]),
  );
}

function eventLoop(out: Exposition): void {
  const { median: p50, p99, max } = takeLoopDelay();
  out.gauge(
    "event_loop_delay_seconds",
    "How late the event loop was since metrics were last read.",
    [
      [{ quantile: "0.5" }, p50],
      [{ quantile: "0.99" }, p99],
      [{ quantile: "1" }, max],
    ],
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
