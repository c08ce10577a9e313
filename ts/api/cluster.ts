/**
 * This node among the others: listens, joins the cluster, keeps the fleet's replica, knows where the
 * other nodes are reached, and leaves.
 */
import { pause } from "../client/pause.ts";
import type { Caller, HostCalls } from "../cluster/calls.ts";
import {
  type Admission,
  type JoinPorts,
  joinCluster,
  type SeedStatus,
} from "../cluster/joining.ts";
import { RaftKVError } from "../errors.ts";
import { faultOfJoining, isText, joiningNode } from "../fleet/admission.ts";
import type { JoiningNode } from "../fleet/commands.ts";
import {
  FLEET_GROUP,
  FLEET_NAME,
  type FleetState,
  groupsOfNode,
  hasModule,
  isPartOf,
} from "../fleet/state.ts";
import { ADDRESS_LENGTH_MAX, JOIN_RETRY_MS, LEAVE_SAY_MS, REJOIN_WAIT_MS } from "../limits.ts";
import { saysNodeLost } from "../native/failures.ts";
import { VERSION } from "../version.ts";
import type { Core } from "./core.ts";
import { groupDescriptor } from "./groups.ts";
import { Waiters } from "./waiters.ts";

/** Ids of clusters are below this. */
const CLUSTER_ID_END = 2 ** 52;

/** Types of the calls by which nodes find their cluster and each other. */
const CALL = { status: "status", join: "join", announce: "announce" } as const;

/** Where nodes are reached, as one of them knows. */
type Addresses = readonly (readonly [node: number, address: string])[];

/** See the head of this file. */
export class ClusterOfNode {
  private readonly core: Core;
  private readonly calls: HostCalls;
  /** Where this node is reached; `null` without `listen`. */
  private address: string | null = null;
  private cluster: number;
  private fleetStored: boolean;
  private joined = false;
  /** Why other nodes refuse this one, while it is not in its cluster. */
  private refusal: RaftKVError | undefined;
  private leaving = false;
  /** The nodes that the program was told of: they keep this one from leaving. */
  private saidWhoIsAway = "";
  private readonly cancelled = new AbortController();
  /** Where the fleet says that nodes are reached. */
  private readonly addresses = new Map<number, string>();
  /** Where nodes have said that they are since this one started: newer than what is read back. */
  private readonly announced = new Map<number, string>();
  /** The nodes that the fleet gave up for lost, as the engine was told. */
  private lost: FleetState["lost"] | undefined;
  private readonly awaitingFleet = new Waiters<void>();

  constructor(core: Core) {
    this.core = core;
    this.calls = core.calls;
    this.cluster = core.engine.identity().cluster;
    this.fleetStored = core.engine.storedGroups().some(({ group }) => group === FLEET_GROUP);
    const anyone = { fromAnyone: true };
    this.calls.handle(CALL.status, () => ({ cluster: this.joined ? this.cluster : 0 }), anyone);
    this.calls.handle(CALL.join, ({ node }, caller) => this.admit(node, caller), anyone);
    this.calls.handle(CALL.announce, ({ address }, { node }) =>
      this.takeAnnouncement(node, address),
    );
  }

  /** Is this node entered in the fleet, and the fleet's state here one that counts? */
  get isJoined(): boolean {
    return this.joined;
  }

  /** Listens for other nodes, and enters the cluster; resolves once this node is in the fleet. */
  async join(): Promise<void> {
    const { engine, settings } = this.core;
    const { listen, advertise, tls } = settings;
    if (listen !== undefined) {
      this.address = await engine.listen({
        listen,
        ...(advertise === undefined ? {} : { advertise }),
        ...(tls === undefined ? {} : { tls: { ca: tls.ca, cert: tls.cert, key: tls.key } }),
      });
    }
    await this.enter();
  }

  /** A leader of the fleet made this node a member. */
  fleetWanted(): void {
    const { core } = this;
    this.fleetStored = true;
    core
      .openFleet(() => core.engine.bindGroup(FLEET_GROUP))
      .then(() => this.awaitingFleet.resolve(FLEET_GROUP))
      .catch((error: unknown) => core.warn("could not open the fleet's group", error));
  }

  /** This node is no member of the fleet any more: it has left, or was taken for lost. */
  fleetRemoved(): void {
    this.fleetStored = false;
    this.joined = false;
    if (this.leaving) {
      this.awaitingFleet.resolve(FLEET_GROUP);
      return;
    }
    this.core.warn("the cluster took this node for lost; joining it again", this.core.nodeName);
    this.enterSoon();
  }

  /** The node is to be closed: joining ends where it would wait for other nodes. */
  cancelJoining(): void {
    this.cancelled.abort();
  }

  /** Another node says that this one does not belong here, or this one says so of the other. */
  refused(error: RaftKVError): void {
    if (!this.joined) this.refusal = error;
  }

  /**
   * Closes this node's replica of the fleet's group, has `change` done to what is stored of it, and
   * opens it again. Until its own entry was applied anew, this node does not follow the fleet.
   */
  async reopenFleet(change: () => Promise<void>): Promise<void> {
    const { core } = this;
    const wasJoined = this.joined;
    this.joined = false;
    core.host.detach(FLEET_GROUP);
    try {
      await change();
      await core.host.handled();
    } finally {
      if (core.isOpen) {
        await core.openFleet(() => core.engine.bindGroup(FLEET_GROUP));
        if (wasJoined) this.enterSoon();
      }
    }
  }

  /** Resolves once this node follows the fleet. @throws `TIMEOUT` */
  async joinedAgain(): Promise<void> {
    const end = performance.now() + REJOIN_WAIT_MS;
    while (!this.joined) {
      this.core.checkOpen();
      if (performance.now() >= end) {
        throw new RaftKVError("TIMEOUT", "the fleet has not taken this node in again yet");
      }
      await pause(JOIN_RETRY_MS, undefined);
    }
  }

  /** Tells the engine where nodes are reached, as far as the fleet has learnt something new. */
  fleetApplied(): void {
    const { engine, nodeId, fleet } = this.core;
    this.giveUpLost(fleet.lost);
    for (const { id, address } of fleet.nodes.values()) {
      const before = this.addresses.get(id);
      if (address === null || id === nodeId || before === address) continue;
      this.addresses.set(id, address);
      if (before === undefined && this.announced.has(id)) continue;
      engine.setNodeAddress(id, address);
    }
    if (this.leaving && this.joined && !fleet.nodes.has(nodeId)) {
      this.awaitingFleet.resolve(FLEET_GROUP);
    }
    for (const id of this.addresses.keys()) {
      if (fleet.nodes.has(id) || !this.joined) continue;
      this.addresses.delete(id);
      engine.forgetNode(id);
    }
  }

  /** What nodes say that were given up for lost counts for nothing any more. */
  private giveUpLost(lost: FleetState["lost"]): void {
    if (lost === this.lost) return;
    this.lost = lost;
    const nodes = [...lost.keys()].filter((node) => node !== this.core.nodeId);
    this.core.engine.giveUpNodes(nodes).catch((error: unknown) => {
      if (this.core.isOpen) this.core.warn("could not give up the lost nodes", error);
    });
  }

  /** Lets other nodes take over everything that this one holds; resolves when they have. */
  async leave(): Promise<void> {
    const { core } = this;
    if (!this.joined || core.fleet.nodes.size <= 1) return;
    // A command that changes nothing comes back once the fleet's state here is the present one.
    await core.fleetCommand({ type: "bindModules", node: core.nodeId, modules: [] });
    const others = [...core.fleet.nodes.values()].filter(
      ({ id, state, unreachableSince }) =>
        id !== core.nodeId && state === "active" && unreachableSince === null,
    );
    if (others.length === 0) return;
    for (const group of groupsOfNode(core.fleet, core.nodeId)) {
      if (others.some((node) => hasModule(node, group.module))) continue;
      throw new RaftKVError(
        "MODULE_NOT_BOUND",
        `no other node has bound the code of group ${group.name}, so none can take it over: call ` +
          "openKeyspace or bindGroupModule on another node first, or close() this one",
        { group: group.name },
      );
    }
    this.leaving = true;
    const { incarnation } = core.engine.identity();
    const left = this.left();
    await core.fleetCommand({ type: "leaveNode", node: core.nodeId, incarnation, now: Date.now() });
    await left;
  }

  /** Ends what waits here. */
  close(error: RaftKVError): void {
    this.awaitingFleet.rejectAll(error);
  }

  private enterSoon(): void {
    this.enter().catch((error: unknown) => {
      if (this.core.isOpen) this.core.warn("could not join the cluster again", error);
    });
  }

  private async enter(): Promise<void> {
    this.refusal = undefined;
    await joinCluster(this.ports());
    this.joined = true;
    this.core.fleetChanged();
    this.core.duties.start();
    this.core.divergence.start();
  }

  private async left(): Promise<void> {
    const late = () => new RaftKVError("TIMEOUT", "other nodes still take over groups");
    while (this.core.isOpen) {
      const left = this.awaitingFleet.wait(FLEET_GROUP, LEAVE_SAY_MS, late);
      try {
        return await left;
      } catch (error) {
        if (!this.core.isOpen) throw error;
        this.sayWhatHolds();
      }
    }
  }

  /** What still has to move, and who is in the way: groups do not move past nodes that are away. */
  private sayWhatHolds(): void {
    const { core } = this;
    const held = groupsOfNode(core.fleet, core.nodeId);
    const waits = `leaving: waiting until other nodes have taken over ${held.length} groups`;
    const away = [...core.fleet.nodes.values()].filter(
      ({ id, unreachableSince }) =>
        unreachableSince !== null && held.some((group) => isPartOf(group, id)),
    );
    if (away.length === 0) {
      core.log("info", waits);
      return;
    }
    const names = away.map(({ name }) => name).join(", ");
    const seconds = core.settings.nodePurgeFailureTimeWindow / 1000;
    const message = `${waits}; out of reach: ${names}, replaced ${seconds} s after it went away`;
    core.log("warn", message);
    if (this.saidWhoIsAway === names) return;
    this.saidWhoIsAway = names;
    core.events.emit("warning", new RaftKVError("TIMEOUT", message));
  }

  private ports(): JoinPorts {
    const { core } = this;
    const { engine } = core;
    // Where the others were reached before is as good as a seed for a node that has a cluster.
    const known = this.cluster === 0 ? [] : [...this.addresses.values()];
    return {
      node: core.nodeId,
      seeds: [...new Set([...core.settings.seeds, ...known])],
      cluster: () => this.cluster,
      hasFleet: () => this.fleetStored,
      found: () => this.found(),
      openFleet: async () => {
        if (core.host.replica(FLEET_GROUP) !== undefined) return;
        await core.openFleet(() => engine.bindGroup(FLEET_GROUP));
      },
      setCluster: (cluster) => this.setCluster(cluster),
      status: async (seed, timeoutMs) => {
        const answer = await this.calls.callAddress(seed, { type: CALL.status }, timeoutMs);
        const { cluster } = answer.reply as Pick<SeedStatus, "cluster">;
        return { node: answer.node, cluster };
      },
      requestAdmission: async (seed, timeoutMs) => {
        const message = { type: CALL.join, node: this.description() };
        const { reply } = await this.calls.callAddress(seed, message, timeoutMs);
        const admission = reply as Admission & { readonly addresses: Addresses };
        this.learn(admission.addresses);
        return admission;
      },
      announce: async (seed, timeoutMs) => {
        const message = { type: CALL.announce, address: this.address };
        const call = this.calls.callAddress(seed, message, timeoutMs);
        const { reply } = await call.catch((error: unknown) => {
          throw this.refusal ?? error;
        });
        this.learn(reply as Addresses);
      },
      awaitFleet: (timeoutMs) => this.awaitFleet(timeoutMs),
      register: () => this.register(),
      pause: async (milliseconds) => {
        await pause(milliseconds, this.cancelled.signal);
        if (this.cancelled.signal.aborted) throw closedWhileWaiting();
      },
      elapsed: () => performance.now(),
      say: (message) => core.log("info", message),
      checkOpen: () => {
        core.checkOpen();
        if (saysNodeLost(this.refusal)) throw this.refusal;
      },
    };
  }

  private async found(): Promise<void> {
    const { core } = this;
    const { engine } = core;
    const descriptor = groupDescriptor({ name: FLEET_NAME, module: FLEET_NAME, settings: {} });
    const self = { node: core.nodeId, address: this.address ?? "" };
    await core.openFleet(() => engine.createGroupWith(FLEET_GROUP, descriptor, [self]));
    this.fleetStored = true;
    const random = 1 + Math.floor(Math.random() * (CLUSTER_ID_END - 1));
    await this.setCluster(this.cluster === 0 ? random : this.cluster);
  }

  private async setCluster(cluster: number): Promise<void> {
    await this.core.engine.setCluster(cluster);
    this.cluster = cluster;
  }

  private async awaitFleet(timeoutMs: number): Promise<boolean> {
    if (this.core.host.replica(FLEET_GROUP) !== undefined) return true;
    const late = new RaftKVError("TIMEOUT", "the fleet's leader made no member here yet");
    try {
      await this.awaitingFleet.wait(FLEET_GROUP, timeoutMs, () => late);
      return true;
    } catch (error) {
      if (error === late) return false;
      throw error;
    }
  }

  /** Enters this node into the fleet; a founder names the cluster first. */
  private async register(): Promise<void> {
    const { core } = this;
    if (core.fleet.clusterId === null) {
      const clusterId = this.cluster.toString(36);
      await core.fleetCommand({ type: "foundCluster", clusterId, founder: core.nodeId });
    }
    await core.fleetCommand({ type: "joinNode", now: Date.now(), node: this.description() });
  }

  private description(): JoiningNode {
    const { nodeId, nodeName, zone, modules, engine } = this.core;
    const { incarnation } = engine.identity();
    const { address } = this;
    return { id: nodeId, name: nodeName, zone, address, version: VERSION, incarnation, modules };
  }

  /** Takes a node into the fleet that has no cluster yet, or was dropped from this one. */
  private async admit(
    description: unknown,
    caller: Caller,
  ): Promise<Admission & { readonly addresses: Addresses }> {
    const { core } = this;
    const fault = faultOfJoining(description, caller);
    if (fault !== null) throw refused(`node ${caller.node} is not let in: ${fault}`);
    const node = joiningNode(description as JoiningNode);
    if (!this.joined || core.fleet.clusterId === null) {
      throw new RaftKVError("NO_LEADER", "this node is not in its cluster yet", {
        outcome: "not applied",
      });
    }
    await core.fleetCommand({ type: "joinNode", node, now: Date.now() });
    return { cluster: this.cluster, addresses: this.known() };
  }

  private takeAnnouncement(node: number, address: unknown): Addresses {
    if (!isText(address, ADDRESS_LENGTH_MAX)) throw refused("the announced address is none");
    this.learn([[node, address]]);
    return this.known();
  }

  /** Where nodes are: as they said, and, once this node follows the fleet, as the fleet says. */
  private known(): Addresses {
    const known = new Map([...(this.joined ? this.addresses : []), ...this.announced]);
    if (this.address !== null) known.set(this.core.nodeId, this.address);
    return [...known];
  }

  /** Nodes may have other addresses by now than the fleet knows: it may have no leader for that. */
  private learn(addresses: Addresses): void {
    for (const [node, address] of addresses) {
      if (node === this.core.nodeId || this.announced.get(node) === address) continue;
      this.announced.set(node, address);
      this.core.engine.setNodeAddress(node, address);
    }
  }
}

function refused(message: string): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}

function closedWhileWaiting(): RaftKVError {
  const message = "the node was closed while it waited for other nodes";
  return new RaftKVError("CLOSED", message, { outcome: "not applied" });
}
