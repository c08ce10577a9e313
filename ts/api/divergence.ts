/**
 * Keeps the replicas of user groups equal: has them compared, tells the program of those that are
 * not what their leaders' are, and has them rebuilt. The system's own groups are left out: their
 * code is raft-kv's.
 */
import { DEFAULT_CALL } from "../client/call.ts";
import { FOR_HOSTS, groupRoute } from "../client/outbox.ts";
import { Comparisons } from "../cluster/comparisons.ts";
import { Rebuilds } from "../cluster/rebuilds.ts";
import { groupById } from "../fleet/state.ts";
import type { Difference, PeerState } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import { COMPARISON_COMMAND_MS } from "../limits.ts";
import { ShardMachine } from "../shard/machine.ts";
import type { Core } from "./core.ts";
import { schedule } from "./schedule.ts";

/** A comparison is done again at its next turn rather than sent again. */
const ONE_ATTEMPT = { ...DEFAULT_CALL, timeout: COMPARISON_COMMAND_MS, retry: 0 };

/** See the head of this file. */
export class Divergence {
  private readonly core: Core;
  private readonly comparisons: Comparisons;
  private readonly rebuilds: Rebuilds;

  constructor(core: Core) {
    this.core = core;
    const { host, client, engine, calls } = core;
    const node = core.nodeId;
    this.comparisons = new Comparisons({
      ...{ node, schedule },
      interval: core.settings.replicaCheckInterval,
      replicas: () => this.compared(),
      result: (replica, index) => host.checks.result(replica, index),
      send: (group, command) =>
        client.command(groupRoute(group), FOR_HOSTS, { ...command }, ONE_ATTEMPT),
      now: () => performance.now(),
    });
    this.rebuilds = new Rebuilds({
      ...{ node, schedule, calls },
      replica: (group) => host.replica(group),
      voters: (group) => groupById(core.fleet, group)?.members ?? [],
      rebuild: (replica, index, pieces) => host.rebuild(replica, index, pieces),
      transferLeader: (group, to) => engine.transferLeader(group, to),
      rebuilt: (replica) => this.comparisons.again(replica),
      told: (replica, other, difference) => this.emit(replica, other, difference),
      warn: (message, cause) => core.warn(message, cause),
    });
  }

  /** Starts to have replicas compared. */
  start(): void {
    this.comparisons.start();
  }

  /** Does nothing more. */
  stop(): void {
    this.comparisons.stop();
    this.rebuilds.stop();
  }

  /** A replica of this node is not what its leader's is. */
  replicaDiffers(replica: Replica, difference: Difference): void {
    this.emit(replica, this.core.nodeId, difference);
    this.rebuilds.begin(replica, difference);
  }

  /** A replica that was in quarantine serves again. */
  replicaServesAgain(replica: Replica): void {
    const { client } = this.core;
    this.core.log("info", `the replica of ${replica.name} on this node serves again`);
    // Answers that were held back are asked for again; those that are known are only repeated.
    client.replicaRemoved(replica.group);
  }

  /** This node was elected to lead a group that it holds in quarantine. */
  quarantinedElected(replica: Replica): void {
    void this.rebuilds.elected(replica);
  }

  /** Another node is reached, or is not. */
  peerChanged(state: PeerState): void {
    if (state === "restarted") this.comparisons.memberStartedAnew();
  }

  private *compared(): IterableIterator<Replica> {
    const { host, fleet } = this.core;
    for (const replica of host.all()) {
      if (!replica.leading) continue;
      const group = groupById(fleet, replica.group);
      if (group !== undefined && !group.system && group.members.length > 1) yield replica;
    }
  }

  private emit(replica: Replica, node: number, difference: Difference): void {
    const { core } = this;
    const { machine, name } = replica;
    const { index, own: checksum, checksum: leaderChecksum } = difference;
    const event = {
      group: name,
      ...(machine instanceof ShardMachine ? { keyspace: machine.keyspace, shard: name } : {}),
      index,
      node: core.nameOf(node),
      leader: core.nameOf(difference.node),
      checksum,
      leaderChecksum,
    };
    core.log(
      "error",
      `the replica of ${name} on ${event.node} is not what the one on ${event.leader}, which leads, ` +
        `is at index ${index}: a command of its module is not pure, or memory is damaged. ` +
        "It serves no more until it is rebuilt",
    );
    core.events.emit("replicaDivergence", event);
  }
}
