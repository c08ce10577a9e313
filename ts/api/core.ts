/**
 * An active node: the engine, the replicas that it runs, the client of its callers, and the fleet's
 * own group. Everything that `api/` offers to users stands on it.
 */
import { BackupReadings } from "../admin/backup/readings.ts";
import { NodeReports } from "../admin/reports.ts";
import { type CallSettings, type CallTarget, callError, DEFAULT_CALL } from "../client/call.ts";
import { Client, NO_KEY } from "../client/client.ts";
import { groupRoute } from "../client/outbox.ts";
import { Reads } from "../client/reads.ts";
import { HostCalls } from "../cluster/calls.ts";
import { RaftKVError } from "../errors.ts";
import type { FleetCommand, FleetError, FleetReplies } from "../fleet/commands.ts";
import { fleetModule } from "../fleet/fleet.ts";
import { FleetGroups } from "../fleet/groups.ts";
import {
  FLEET_GROUP,
  FLEET_NAME,
  type FleetGroup,
  type FleetState,
  fleetImage,
  groupById,
  isForgotten,
} from "../fleet/state.ts";
import {
  type Difference,
  Host,
  type HostCall,
  type HostListener,
  type PeerState,
} from "../host/host.ts";
import type { LogFields } from "../host/log-line.ts";
import type { Replica } from "../host/replica.ts";
import { DataMachine } from "../machine/data-machine.ts";
import type { EngineOpener, NativeEngine } from "../native/engine.ts";
import { ROUTE_GROUP } from "../native/frames.ts";
import { ClusterOfNode } from "./cluster.ts";
import { Divergence } from "./divergence.ts";
import { named } from "./engine-names.ts";
import type { RaftKVEventEmitter } from "./events.ts";
import { FleetDuties } from "./fleet-duties.ts";
import { GroupSurvey } from "./group-survey.ts";
import { LocalGroups } from "./groups.ts";
import { HookedMachine } from "./hooked-machine.ts";
import { nodeDetails } from "./node-details.ts";
import { type LogLevel, NodeLog } from "./node-log.ts";
import type { NodeSettings } from "./options.ts";
import { GroupRecovery } from "./recovery.ts";
import { ShardSurvey } from "./shard-survey.ts";

/** What happens to storage failures, by the number of event 9. */
const STORAGE_CODES = [
  "STORAGE_FAILED",
  "STORAGE_FULL",
  "STORAGE_FAILED",
  "DATA_CORRUPTED",
] as const;

/** Reason of event 19 for a node that was given up for lost. */
const LOST_REASON = 7;
/** Reason of event 19 for certificates that are refused. */
const TLS_REASON = 5;
/** Reasons of event 19 for which a node does not belong here: another cluster, or a copy of a node. */
const STRANGER_REASONS: readonly number[] = [1, 2, 3, LOST_REASON];

/** Log levels by the number of event 10. */
const LOG_LEVELS = ["info", "error", "warn", "info", "debug"] as const;

/** What the keyspaces on a node answer and are told; `LocalKeyspaces` implements it. */
export interface KeyspacesOfNode {
  /** The keyspace of a route number. */
  keyspaceOf(route: number): string | undefined;
  /** Why a keyspace's route leads nowhere here, if the reason is known. */
  absence(route: number): RaftKVError | undefined;
  /** Is there a keyspace of this name, as far as this node knows? */
  isRegistered(keyspace: string): boolean;
  /** A replica was made, and is about to be opened. */
  attached(replica: Replica): void;
  /** A replica's group has another leader. */
  leaderChanged(replica: Replica): void;
}

/** An error of the storage, with the directory that it is about; others as they are. */
function namingDirectory(error: unknown, dataDir: string): unknown {
  if (!(error instanceof RaftKVError) || error.code === "INTERNAL") return error;
  if (error.message.includes(dataDir)) return error;
  const message = `the data directory ${dataDir} cannot be opened: ${error.message}`;
  return new RaftKVError(error.code, message, { cause: error });
}

/** See the head of this file. */
export class Core implements HostListener {
  readonly settings: NodeSettings;
  readonly zone: string;
  readonly events: RaftKVEventEmitter;
  readonly engine: NativeEngine;
  readonly host: Host;
  readonly client: Client;
  /** Calls between this node's host and those of others. */
  readonly calls: HostCalls;
  /** Reads of groups, wherever they are led. */
  readonly reads: Reads;
  readonly groups: LocalGroups;
  readonly cluster: ClusterOfNode;
  readonly duties: FleetDuties;
  readonly divergence: Divergence;
  readonly survey: GroupSurvey;
  readonly shardSurvey: ShardSurvey;
  /** What this node says of itself to whoever administers the cluster. */
  readonly reports: NodeReports;
  /** Ranges of shards led here that backups are being made of. */
  readonly readings: BackupReadings;
  readonly lines: NodeLog;
  readonly recovery: GroupRecovery;
  /** Group modules that the program had bound when the node was opened. */
  readonly modules: readonly string[];
  /** This node's id. */
  readonly nodeId: number;
  /** This node's name, as the fleet lists it. */
  readonly nodeName: string;
  /** Set by `LocalKeyspaces`. */
  keyspaces: KeyspacesOfNode | undefined;
  private readonly fleetMachine: DataMachine<FleetState>;
  /** The groups as this node has followed them, if it has begun to. */
  private followed: FleetGroups | undefined;
  private storageFailure: RaftKVError | undefined;
  private closed: RaftKVError | undefined;

  private constructor(
    zone: string,
    settings: NodeSettings,
    events: RaftKVEventEmitter,
    engine: NativeEngine,
    openedAt: number,
    modules: readonly string[],
  ) {
    this.zone = zone;
    this.modules = modules;
    this.settings = settings;
    this.lines = new NodeLog(settings.logger, settings.logLevel);
    this.events = events;
    this.engine = engine;
    const identity = engine.identity();
    this.nodeId = identity.node;
    this.nodeName = `node-${identity.node.toString(36)}`;
    this.fleetMachine = new DataMachine(fleetModule, fleetImage);
    this.host = new Host(engine, identity, openedAt, this);
    this.client = new Client(engine, {
      target: (route) => this.target(route),
      storageError: () => this.storageFailure,
      absence: (route) => this.absence(route),
    });
    this.calls = new HostCalls(engine);
    this.reads = new Reads(this.host, this.calls, {
      node: identity.node,
      members: (group) => this.membersOf(group),
      checkOpen: () => this.checkOpen(),
    });
    this.groups = new LocalGroups(engine, this.host, this.nodeId, {
      fleet: () => this.fleet,
      hasPeers: settings.listen !== undefined,
      confirmRemoved: async ({ id }) => {
        await this.fleetCommand({ type: "confirmRemoved", group: id, node: this.nodeId });
      },
      attached: (replica) => this.keyspaces?.attached(replica),
      detached: (group) => this.client.replicaRemoved(group),
      warn: (message, cause) => this.warn(message, cause),
    });
    this.cluster = new ClusterOfNode(this);
    this.duties = new FleetDuties(this);
    this.divergence = new Divergence(this);
    this.survey = new GroupSurvey(this, this.calls);
    this.shardSurvey = new ShardSurvey(this, this.calls);
    this.reports = new NodeReports({
      ...{ engine, host: this.host, calls: this.calls, node: identity.node },
      storedGroups: () => [FLEET_GROUP, ...this.groups.storedGroups()],
      requestsInFlight: () => this.client.inFlight,
      details: async () => nodeDetails(this),
    });
    this.readings = new BackupReadings(this.host, this.calls, identity.node);
    this.recovery = new GroupRecovery(this, this.calls);
  }

  /**
   * Opens the node's data directory and brings the node into its cluster. That may take as long as
   * other nodes take to come; `opened` gets what can be closed meanwhile.
   */
  static async open(
    zone: string,
    settings: NodeSettings,
    events: RaftKVEventEmitter,
    modules: readonly string[],
    opened: (core: Core) => void,
    open: EngineOpener,
  ): Promise<Core> {
    const openedAt = performance.now();
    let core: Core | undefined;
    const receive = (bytes: Uint8Array, more: boolean) => core?.host.receive(bytes, more);
    const engine = await open(settings, receive).catch((error: unknown) => {
      throw namingDirectory(error, settings.dataDir);
    });
    core = new Core(zone, settings, events, engine, openedAt, modules);
    opened(core);
    try {
      await core.cluster.join();
      return core;
    } catch (error) {
      await core.close();
      throw error;
    }
  }

  /** The fleet's state as this node knows it. */
  get fleet(): FleetState {
    return this.fleetMachine.state;
  }

  /** Is the node not being closed? */
  get isOpen(): boolean {
    return this.closed === undefined;
  }

  /** Makes this node's replica of the fleet's group, which `open` has the engine open. */
  async openFleet(open: () => Promise<number>): Promise<void> {
    this.fleetMachine.reset();
    this.followed = undefined;
    const replica = this.host.attach(FLEET_GROUP, FLEET_NAME, () => this.fleetMachine);
    replica.onApplied = () => this.fleetChanged();
    replica.leaseSlot = await open();
  }

  /** Follows the fleet's state, once this node is in it: before, the state may be an old one. */
  fleetChanged(): void {
    if (!this.isOpen) return;
    this.cluster.fleetApplied();
    if (!this.cluster.isJoined) return;
    const { groups } = this.fleet;
    const changed = groups.changesSince(this.followed ?? FleetGroups.none);
    if (this.followed === undefined) this.groups.reconcile();
    else this.groups.follow(changed);
    this.followed = groups;
    this.duties.fleetChanged(changed);
  }

  /** Ends what waits in the background of a call. @throws `CLOSED` once `close` was called */
  checkOpen(): void {
    if (this.closed !== undefined) throw this.closed;
  }

  /** The active group of a name. */
  group(name: string): FleetGroup | undefined {
    const group = this.fleet.groups.get(name);
    return group?.state === "active" ? group : undefined;
  }

  /** Sends a command to a group as a whole. */
  command(group: number, argument: unknown, call: CallSettings = DEFAULT_CALL): Promise<unknown> {
    return this.client.command(groupRoute(group), NO_KEY, argument, call);
  }

  /** Sends a command to the fleet. */
  async fleetRequest<C extends FleetCommand>(command: C): Promise<FleetReplies[C["type"]]> {
    return (await this.command(FLEET_GROUP, command)) as FleetReplies[C["type"]];
  }

  /** Sends a command to the fleet; a refusal becomes an error. */
  async fleetCommand<C extends FleetCommand>(
    command: C,
  ): Promise<Exclude<FleetReplies[C["type"]], FleetError>> {
    const reply = await this.fleetRequest(command);
    if (reply.ok === false) {
      throw new RaftKVError(reply.code, reply.message, { outcome: "not applied" });
    }
    return reply as Exclude<FleetReplies[C["type"]], FleetError>;
  }

  /** Makes the code of a module known to the fleet, once this program has bound it. */
  async announce(modules: readonly string[]): Promise<void> {
    const known = this.fleet.nodes.get(this.nodeId)?.modules ?? [];
    if (modules.every((name) => known.includes(name))) return;
    await this.fleetCommand({ type: "bindModules", node: this.nodeId, modules });
  }

  /** Tells the program about something that ended no call. */
  warn(message: string, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.tell(new RaftKVError("INTERNAL", `${message}: ${reason}`, { cause }));
  }

  /** Tells the program of an error that ended no call. */
  tell(error: RaftKVError): void {
    this.log("warn", error.message);
    this.events.emit("warning", error);
  }

  /** A line for the program's logger, and for a system dump. */
  log(level: LogLevel, message: string, fields?: LogFields): void {
    this.lines.write(level, message, fields);
  }

  /** Ends every call and closes the engine. Repeated calls are harmless. */
  async close(): Promise<void> {
    const closed = new RaftKVError("CLOSED", "the node is closed", { outcome: "not applied" });
    this.closed ??= closed;
    this.duties.stop();
    this.divergence.stop();
    this.readings.stop();
    this.groups.close(closed);
    this.calls.close(closed);
    this.cluster.close(closed);
    this.client.refuseNew(closed);
    try {
      // What is in flight is answered while the engine closes.
      await this.engine.close();
    } catch (error) {
      // A failure of the storage has been told to everybody, and nothing is lost by it now.
      if (this.storageFailure === undefined) throw error;
    } finally {
      this.client.close(closed);
      this.host.close();
    }
  }

  settled(request: number, result: Parameters<Client["settled"]>[1]): void {
    this.client.settled(request, result);
  }

  refused(request: number, _group: number, reason: number, unknown: boolean): void {
    this.client.refused(request, reason, unknown);
  }

  memberWanted(group: number, descriptor: Uint8Array): void {
    if (group === FLEET_GROUP) this.cluster.fleetWanted();
    else this.groups.memberWanted(group, descriptor);
  }

  memberRemoved(group: number): void {
    if (group === FLEET_GROUP) this.cluster.fleetRemoved();
    else this.groups.memberRemoved(group);
  }

  peerChanged(node: number, state: PeerState): void {
    this.duties.peerChanged(node, state);
    this.divergence.peerChanged(state);
  }

  streamRefused(_node: number, reason: number, message: string): void {
    this.log("warn", message);
    if (reason === TLS_REASON) {
      const help = "; the certificates of both nodes must fit their option tls";
      this.events.emit("warning", new RaftKVError("INVALID_OPTION", `${message}${help}`));
    }
    if (!STRANGER_REASONS.includes(reason)) return;
    const cause = reason === LOST_REASON ? { code: "NODE_LOST" } : undefined;
    const error = new RaftKVError("CLUSTER_MISMATCH", message, { cause });
    this.events.emit("warning", error);
    this.cluster.refused(error);
  }

  called(call: HostCall): void {
    this.calls.receive(call);
  }

  leaderChanged(replica: Replica): void {
    if (replica.isServed) this.client.leaderAppeared();
    this.groups.leaderChanged(replica);
    if (replica.machine instanceof HookedMachine) replica.machine.lead(replica.leading);
    this.keyspaces?.leaderChanged(replica);
    this.duties.leaderChanged(replica);
    const node = replica.leader === 0 ? null : this.nameOf(replica.leader);
    this.events.emit("leaderChange", { group: replica.name, node });
  }

  replicaFailed(replica: Replica, error: unknown): void {
    this.warn(`the replica of group ${replica.name} was taken out of service`, error);
  }

  replicaDiffers(replica: Replica, difference: Difference): void {
    this.divergence.replicaDiffers(replica, difference);
  }

  replicaServesAgain(replica: Replica): void {
    this.divergence.replicaServesAgain(replica);
  }

  quarantinedElected(replica: Replica): void {
    this.divergence.quarantinedElected(replica);
  }

  storageFailed(kind: number, message: string): void {
    const code = STORAGE_CODES[kind] ?? "STORAGE_FAILED";
    this.storageFailure = new RaftKVError(code, message);
    this.log("error", message);
    this.events.emit("warning", this.storageFailure);
  }

  logged(level: number, message: string, fields: LogFields = {}): void {
    const names = {
      group: (id: number) => this.groupName(id),
      node: (id: number) => this.nameOf(id),
    };
    this.log(LOG_LEVELS[level] ?? "info", message, named(fields, names));
  }

  private groupName(id: number): string {
    if (id === FLEET_GROUP) return FLEET_NAME;
    return this.host.replica(id)?.name ?? groupById(this.fleet, id)?.name ?? `group-${id}`;
  }

  /** The name of a node of the fleet. */
  nameOf(node: number): string {
    return this.fleet.nodes.get(node)?.name ?? `node-${node.toString(36)}`;
  }

  /** The nodes that may hold a replica of a group, the preferred leader first. */
  private membersOf(id: number): readonly number[] {
    const group = groupById(this.fleet, id);
    if (group === undefined) return [];
    return [...group.members, ...group.leaving, ...group.learners];
  }

  private target(route: number): CallTarget {
    if ((route & ROUTE_GROUP) === 0) {
      const keyspace = this.keyspaces?.keyspaceOf(route);
      return keyspace === undefined ? {} : { keyspace };
    }
    const id = (route & ~ROUTE_GROUP) >>> 0;
    const name = this.host.replica(id)?.name;
    return name === undefined ? {} : { group: name };
  }

  private absence(route: number): RaftKVError | undefined {
    if ((route & ROUTE_GROUP) === 0) return this.keyspaces?.absence(route);
    const id = (route & ~ROUTE_GROUP) >>> 0;
    if (isForgotten(this.fleet, id)) return callError("NO_SUCH_SHARD", "not applied", {});
    const group = groupById(this.fleet, id);
    if (group === undefined || id === FLEET_GROUP) return undefined;
    if (this.groups.isBound(group.module) || this.reads.isElsewhere(id)) return undefined;
    return new RaftKVError(
      "MODULE_NOT_BOUND",
      `this node's program has not bound the code of group ${group.name}; ` +
        "call bindGroupModule or openKeyspace first",
      { group: group.name },
    );
  }
}
