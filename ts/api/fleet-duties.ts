/**
 * What this node does for the fleet: brings the groups that it leads to their targets, watches over
 * the nodes while it leads the fleet, and tells the program which nodes are out of reach.
 */
import { Confirmations } from "../cluster/confirmations.ts";
import { GroupMembership } from "../cluster/membership.ts";
import { NodeWatch } from "../cluster/watch.ts";
import type { GroupChange } from "../fleet/groups.ts";
import { FLEET_GROUP } from "../fleet/state.ts";
import type { PeerState } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import type { Core } from "./core.ts";
import { schedule } from "./schedule.ts";

/** See the head of this file. */
export class FleetDuties {
  private readonly core: Core;
  private readonly membership: GroupMembership;
  private readonly watch: NodeWatch;
  /** Nodes that the program was told of as out of reach. */
  private readonly unreachable = new Set<number>();
  private readonly purged = new Set<number>();

  constructor(core: Core) {
    this.core = core;
    const leads = (group: number) => core.host.replica(group)?.leading ?? false;
    const fleet = () => core.fleet;
    const node = core.nodeId;
    const confirmations = new Confirmations((targets) =>
      core.fleetCommand({ type: "confirmTargets", targets }),
    );
    this.membership = new GroupMembership({
      ...{ node, fleet, leads, schedule },
      engine: core.engine,
      reachable: (other) => this.watch.isReachable(other),
      confirmMembers: (group, version, members) =>
        confirmations.confirm({ group, version, members }),
      keepMembers: async (group, version, members) => {
        await core.fleetCommand({ type: "keepMembers", group, version, members });
      },
      warn: (message, cause) => core.warn(message, cause),
    });
    this.watch = new NodeWatch(
      {
        ...{ node, fleet, schedule },
        leadsFleet: () => leads(FLEET_GROUP),
        send: (command) => core.fleetCommand(command),
        now: () => Date.now(),
      },
      core.settings,
    );
  }

  /** Starts; the node is in its cluster. */
  start(): void {
    this.membership.start();
    this.watch.start();
  }

  /** Does nothing more. */
  stop(): void {
    this.membership.stop();
    this.watch.stop();
  }

  /** The fleet's state has changed, of its groups these. */
  fleetChanged(changed: readonly GroupChange[]): void {
    this.tell();
    this.membership.fleetChanged(changed);
    this.watch.fleetChanged();
  }

  /** A group has another leader. */
  leaderChanged(replica: Replica): void {
    this.membership.leaderChanged(replica.group);
    if (replica.group === FLEET_GROUP) this.watch.leaderChanged();
  }

  /** Another node is reached, or is not. */
  peerChanged(node: number, state: PeerState): void {
    this.watch.peerChanged(node, state !== "down");
    this.membership.fleetChanged();
  }

  /** The nodes that do not answer this one, and since when. */
  unreachableNodes(): Map<number, Date> {
    return this.watch.unreachable();
  }

  /** Tells the program of nodes that went out of reach, or are replaced. */
  private tell(): void {
    const { core, unreachable, purged } = this;
    const { nodes } = core.fleet;
    for (const { id, name, unreachableSince, purged: isPurged } of nodes.values()) {
      if (unreachableSince === null) unreachable.delete(id);
      else if (!unreachable.has(id)) {
        unreachable.add(id);
        core.log("warn", `${name} does not answer`);
        core.events.emit("nodeUnreachable", { node: name, since: new Date(unreachableSince) });
      }
      if (!isPurged) purged.delete(id);
      else if (!purged.has(id)) {
        purged.add(id);
        core.log("warn", `${name} was gone for too long: others take its place`);
        core.events.emit("nodePurged", { node: name });
      }
    }
    for (const id of unreachable) if (!nodes.has(id)) unreachable.delete(id);
    for (const id of purged) if (!nodes.has(id)) purged.delete(id);
  }
}
