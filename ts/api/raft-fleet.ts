/** The functions of `RaftFleet`: nodes, and consensus groups for any replicated value. */
import { randomUUID } from "node:crypto";
import type { AdminFunctions } from "../admin/admin.ts";
import type { RecoverOptions, RecoveryResult } from "../admin/types.ts";
import { type CallSettings, callError, DEFAULT_CALL } from "../client/call.ts";
import { queryError } from "../client/failure.ts";
import { pause } from "../client/pause.ts";
import { copyValue, encodeValue, isPrimitive } from "../codec/value.ts";
import { dashboardUrl } from "../dashboard/url.ts";
import { keyspaceOfShardName } from "../directory/state.ts";
import { RaftKVError } from "../errors.ts";
import type { FleetGroup } from "../fleet/state.ts";
import type { Replica } from "../host/replica.ts";
import { resultValue } from "../host/replica.ts";
import type { DataHook, DataModule } from "../machine/data-module.ts";
import { Refusal } from "../machine/machine.ts";
import { type AdminOptions, resolveAdmin, resolveDashboard } from "./admin-options.ts";
import type { Core } from "./core.ts";
import type { GroupWithoutLeader } from "./group-survey.ts";
import { HookedMachine } from "./hooked-machine.ts";
import type { NodeLifecycle } from "./lifecycle.ts";
import type { MetricsOptions } from "./node-metrics.ts";
import { judged } from "./option-values.ts";
import {
  type CallOptions,
  checkDataModule,
  checkFirstState,
  checkGroupName,
  checkReplicas,
  type NodeOptions,
  resolveCallOptions,
} from "./options.ts";
import type { Readiness } from "./readiness.ts";
import { COMMAND_TRACES, QUERY_TRACES } from "./traces.ts";

/** How a consensus group is set up. */
export interface GroupConfig<State, Arg, Ret, QArg, QRet> {
  /** The code of the replicated value. */
  readonly module: DataModule<State, Arg, Ret, QArg, QRet>;
  /** Side effects on the node that leads the group. */
  readonly hook?: DataHook<State, Arg, Ret, QArg, QRet>;
}

/** A server for operators. */
export interface RunningAdminServer {
  /** `host:port` that it listens at. */
  readonly address: string;
  /** Ends it. Repeated calls are harmless. */
  close(): Promise<void>;
}

/** The dashboard of a node. */
export interface RunningDashboard extends RunningAdminServer {
  /** What a browser opens; where there is a token, it is in the part that no server is sent. */
  readonly url: string;
}

/** The module name under which a user's group is known to the fleet. */
function groupModule(name: string): string {
  return `group:${name}`;
}

/** Did a program add the group? Otherwise raft-kv did, and only its own commands may change it. */
function isProgramGroup({ name, module }: FleetGroup): boolean {
  return module === groupModule(name);
}

function notFound(name: string): RaftKVError {
  const message = `there is no consensus group ${name}; add it first`;
  return new RaftKVError("NOT_FOUND", message, { group: name });
}

/** Refuses a name that a shard has, or gets when its keyspace is split. */
function checkNoShardName(core: Core, name: string): void {
  const keyspace = keyspaceOfShardName(name);
  if (keyspace === undefined || !core.keyspaces?.isRegistered(keyspace)) return;
  const message = `the group name ${name} is kept for a shard of the keyspace ${keyspace}`;
  throw new RaftKVError("ALREADY_ADDED", message, { group: name, keyspace });
}

/** See the head of this file. Every function rejects with a `RaftKVError`. */
export class RaftFleetFunctions {
  /** What an operator looks at and does; each is a verb of `npx raft-kv` as well. */
  readonly admin: AdminFunctions;
  private readonly lifecycle: NodeLifecycle;

  constructor(lifecycle: NodeLifecycle) {
    this.lifecycle = lifecycle;
    this.admin = lifecycle.admin;
  }

  /**
   * Opens this node and joins its cluster, or starts one. Resolves when the node can serve.
   *
   * @param zone - the data-centre zone that the node is in; replicas are spread over zones
   * @param options - override those of `configure` or `createNode`, the environment and the defaults
   * @throws `NOT_INACTIVE` when the node is active or about to be; `INVALID_ZONE`;
   * `INVALID_OPTION`; `DATA_DIR_LOCKED`; `DATA_CORRUPTED`; `STORAGE_FAILED`
   */
  async activate(zone: string, options?: NodeOptions): Promise<void> {
    await this.lifecycle.activate(zone, options);
  }

  /**
   * Moves this node's members elsewhere where there are other nodes, leaves, and closes the node.
   * The data directory stays; `activate` comes back to it.
   */
  async deactivate(): Promise<void> {
    await this.lifecycle.deactivate();
  }

  /** The names of the active nodes, by zone. */
  async activeNodes(): Promise<Record<string, string[]>> {
    const zones: Record<string, string[]> = {};
    for (const { name, zone, state } of this.core().fleet.nodes.values()) {
      if (state !== "active") continue;
      const names = zones[zone] ?? [];
      zones[zone] = names;
      names.push(name);
    }
    return zones;
  }

  /** The name of this node. */
  async nodeName(): Promise<string> {
    return this.core().nodeName;
  }

  /** Nodes of the cluster that this node cannot reach, and since when. */
  async unreachableNodes(): Promise<Record<string, Date>> {
    const core = this.core();
    const since = core.duties.unreachableNodes();
    return Object.fromEntries([...since].map(([node, date]) => [core.nameOf(node), date]));
  }

  /**
   * Adds a consensus group: a replicated value with the commands and queries of its module.
   * Resolves when the group serves on this node.
   *
   * @param replicas - how many replicas the group should have; while there are fewer nodes, as
   * many as there are
   * @throws `ALREADY_ADDED` (the code is bound all the same); `CLEANUP_ONGOING` when a group of
   * this name is still being removed; `INVALID_MODULE`; `INVALID_ARGUMENT`
   */
  async addConsensusGroup<State, Arg, Ret, QArg, QRet>(
    name: string,
    replicas: number,
    config: GroupConfig<State, Arg, Ret, QArg, QRet>,
  ): Promise<void> {
    const core = this.core();
    checkGroupName(name);
    checkReplicas(replicas, "INVALID_ARGUMENT");
    if (typeof config !== "object" || config === null) {
      throw new RaftKVError("INVALID_ARGUMENT", "the third argument must be { module, hook? }");
    }
    const { module, hook } = judged("INVALID_ARGUMENT", "The third argument", () => ({
      module: config.module,
      hook: config.hook,
    }));
    checkDataModule(module, hook);
    checkFirstState(module);
    checkNoShardName(core, name);
    this.bind(name, module, hook);
    await core.announce([groupModule(name)]);
    await core.fleetCommand({
      type: "addGroup",
      name,
      replicas,
      module: groupModule(name),
      settings: {},
      token: randomUUID(),
    });
    const added = core.group(name);
    if (added !== undefined) await core.groups.ready(added);
  }

  /** Removes a group with its data. @throws `NOT_FOUND` */
  async removeConsensusGroup(name: string): Promise<void> {
    const core = this.core();
    checkGroupName(name);
    this.find(core, name);
    await core.fleetCommand({ type: "removeGroup", name });
    // A group that is added under this name later is another one, with code of its own.
    this.lifecycle.unbindModule(groupModule(name));
    core.groups.reconcile();
  }

  /** The groups that were added, with the number of replicas wanted. */
  async consensusGroups(): Promise<Record<string, number>> {
    const groups: Record<string, number> = {};
    for (const group of this.core().fleet.groups.values()) {
      if (group.state === "active" && isProgramGroup(group)) groups[group.name] = group.replicas;
    }
    return groups;
  }

  /**
   * Binds the code of a group that another node added, or that this node's data directory holds
   * from before. May be called before `activate`.
   */
  async bindGroupModule<State, Arg, Ret, QArg, QRet>(
    name: string,
    module: DataModule<State, Arg, Ret, QArg, QRet>,
    hook?: DataHook<State, Arg, Ret, QArg, QRet>,
  ): Promise<void> {
    checkGroupName(name);
    this.bind(name, module, hook);
    const core = this.lifecycle.activeCore();
    if (core === undefined) return;
    await core.announce([groupModule(name)]);
    core.groups.reconcile();
  }

  /** Runs a command on a group's value. Linearizable, durable, applied once. */
  async command(group: string, arg: unknown, options?: CallOptions): Promise<unknown> {
    const call = resolveCallOptions(options);
    if (!COMMAND_TRACES.heard) return this.send(group, arg, call);
    const trace = this.lifecycle.trace({ group }, undefined, arg);
    return COMMAND_TRACES.run(trace, call, (traced) => this.send(group, arg, traced));
  }

  private async send(group: string, arg: unknown, call: CallSettings): Promise<unknown> {
    const core = this.core();
    // Taken at the call: what the caller does to the argument later changes nothing.
    const taken = isPrimitive(arg) ? arg : copyValue(arg);
    const { id, members, module } = this.find(core, group);
    const isHere = members.includes(core.nodeId) && core.groups.isBound(module);
    if (isHere || !core.reads.isElsewhere(id)) await this.serving(core, group, call);
    return core.command(id, taken, call);
  }

  /** Asks a group's value. Linearizable, unless `consistency` is "stale". */
  async query(group: string, arg: unknown, options?: CallOptions): Promise<unknown> {
    return this.traced(group, arg, resolveCallOptions(options));
  }

  private traced(group: string, arg: unknown, call: CallSettings): Promise<unknown> {
    if (!QUERY_TRACES.heard) return this.ask(group, arg, call);
    const trace = this.lifecycle.trace({ group }, undefined, arg);
    return QUERY_TRACES.run(trace, call, (traced) => this.ask(group, arg, traced));
  }

  private async ask(group: string, arg: unknown, call: CallSettings): Promise<unknown> {
    const core = this.core();
    const request = encodeValue(arg);
    if (call.signal?.aborted) throw callError("ABORTED", "not applied", { group });
    const { id, module } = this.find(core, group);
    if (!core.groups.isBound(module) && !core.reads.isElsewhere(id)) {
      throw callError("MODULE_NOT_BOUND", "not applied", { group });
    }
    const result = await core.reads.read(id, request, call, { group });
    if (result instanceof Refusal) throw queryError(result, { group });
    return resultValue(result);
  }

  /** Asks this node's replica of a group, which may be behind, or any other where it has none. */
  async queryNonLeader(group: string, arg: unknown, options?: CallOptions): Promise<unknown> {
    return this.traced(group, arg, { ...resolveCallOptions(options), consistency: "stale" });
  }

  /**
   * The name of the node that leads a group, `null` when none is known. A shard is the group of
   * its name. @throws `NOT_FOUND`
   */
  async whereisLeader(group: string): Promise<string | null> {
    const core = this.core();
    checkGroupName(group);
    const found = core.group(group);
    if (found === undefined) throw notFound(group);
    const leader = await core.reads.leader(found.id, DEFAULT_CALL);
    return leader === 0 ? null : core.nameOf(leader);
  }

  /**
   * Groups that no node leads at present, as far as they can be reached, with the state of each of
   * their members: what has to be mended before such a group answers again.
   */
  async findConsensusGroupsWithNoEstablishedLeader(): Promise<GroupWithoutLeader[]> {
    return this.core().survey.groupsWithoutLeader();
  }

  /**
   * This node's metrics in Prometheus' text format, as `/metrics` of the admin server has them. No
   * keys are in them; series of single shards only where `shards` asks for them.
   *
   * @throws `NOT_ACTIVE`
   */
  async metrics(options?: MetricsOptions): Promise<string> {
    return this.lifecycle.metrics(options);
  }

  /** Is this node ready to serve: in its cluster, its groups led, and not far behind? */
  async readiness(): Promise<Readiness> {
    return this.lifecycle.readiness();
  }

  /**
   * Starts a server for operators on the active node, as the option `admin` does at `activate`.
   *
   * @throws `ADDRESS_IN_USE`, `INVALID_OPTION`, `NOT_ACTIVE`
   */
  async adminServer(options: AdminOptions = {}): Promise<RunningAdminServer> {
    this.core();
    const settings = resolveAdmin(options, {});
    if (settings === undefined) throw new RaftKVError("INVALID_OPTION", "there are no options");
    const server = await this.lifecycle.serve(settings);
    return { address: server.address, close: () => server.close() };
  }

  /**
   * Starts the dashboard: a page for a browser that shows the cluster live and changes nothing.
   * The server listens at 127.0.0.1, port 4481, unless told otherwise; beyond this machine a token
   * is needed. A server of the option `admin` has the same page at `/dashboard`.
   *
   * The server holds no process alive, and tells whoever looks when the node is closed.
   *
   * @throws `ADDRESS_IN_USE`, `INVALID_OPTION`, `NOT_ACTIVE`
   */
  async dashboard(options: AdminOptions = {}): Promise<RunningDashboard> {
    this.core();
    const settings = resolveDashboard(options);
    const server = await this.lifecycle.serveDashboard(settings);
    return {
      address: server.address,
      url: dashboardUrl(server.address, settings),
      close: () => server.close(),
    };
  }

  /** `host:port` where the server of the option `admin` listens; `null` when there is none. */
  get adminAddress(): string | null {
    return this.lifecycle.adminAddress;
  }

  /**
   * The last resort of an operator: the cluster goes on without nodes that are lost for good.
   *
   * Groups of which a majority survived lose the members on those nodes, and nothing else. Any
   * other group, the fleet's own included, goes on with what *one* survivor has, the one whose log
   * reaches furthest. **What may be lost**: entries, acknowledged ones too, that no survivor had
   * received; all data of a group without a surviving replica; and a command whose outcome was
   * still open may turn out applied or not. The result says so for each group.
   *
   * The named nodes never come back under their data directories: they are refused with
   * `CLUSTER_MISMATCH`, and may only join anew, with empty ones. Be sure that their processes have
   * stopped for good: nodes that are merely cut off go on by themselves. Survivors that are down
   * are waited for; a group that needs one is reported as `waiting`. May be called on any survivor,
   * also while its `activate` waits for the fleet's leader, and may be repeated at any time.
   *
   * @throws `INVALID_OPTION` without `acceptDataLoss: true`, for names that no node has, and for a
   * node that answers; `NO_LEADER` when the fleet's own group has to wait for survivors; `NOT_ACTIVE`
   */
  async recoverGroups(options: RecoverOptions): Promise<RecoveryResult> {
    return this.lifecycle.coreToRecover().recovery.recover(options);
  }

  private core(): Core {
    return this.lifecycle.core();
  }

  private bind<State, Arg, Ret, QArg, QRet>(
    name: string,
    module: DataModule<State, Arg, Ret, QArg, QRet>,
    hook: DataHook<State, Arg, Ret, QArg, QRet> | undefined,
  ): void {
    checkDataModule(module, hook);
    const failed = (error: unknown) => this.hookFailed(name, error);
    this.lifecycle.bindModule(groupModule(name), () => new HookedMachine(module, hook, failed));
  }

  private hookFailed(group: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `the hook of consensus group ${group} threw: ${reason}`;
    const details = { cause: error, group };
    this.lifecycle.events.emit("warning", new RaftKVError("COMMAND_FAILED", message, details));
  }

  private find(core: Core, name: string): FleetGroup {
    checkGroupName(name);
    const group = core.group(name);
    if (group === undefined) throw notFound(name);
    if (isProgramGroup(group)) return group;
    const message = `the group ${name} is a shard; it belongs to its keyspace`;
    throw new RaftKVError("NOT_FOUND", message, { group: name });
  }

  /** This node's replica of a group, once it is open. */
  private async serving(core: Core, name: string, call: CallSettings): Promise<Replica> {
    const group = this.find(core, name);
    if (!core.groups.isBound(group.module)) {
      throw callError("MODULE_NOT_BOUND", "not applied", { group: name });
    }
    const replica = core.host.replica(group.id);
    if (replica !== undefined && core.groups.isOpen(group.id)) return replica;
    const opening = core.groups.open(group);
    const limit = pause(call.timeout + call.retry * call.retryInterval, call.signal);
    const opened = await Promise.race([opening, limit]);
    if (opened !== undefined) return opened;
    throw callError(call.signal?.aborted ? "ABORTED" : "NO_LEADER", "not applied", { group: name });
  }
}
