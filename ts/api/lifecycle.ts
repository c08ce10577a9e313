/**
 * A node from `activate` to `close`: one state at a time, each change claimed before the first
 * await, so that calls that overlap cannot open or close anything twice.
 */
import { AdminFunctions } from "../admin/admin.ts";
import { AdminServer } from "../admin/http/server.ts";
import type { AdminSettings } from "../admin/http/settings.ts";
import type { AdminPorts } from "../admin/ports.ts";
import type { CallTarget } from "../client/call.ts";
import { Dashboard } from "../dashboard/dashboard.ts";
import { dashboardRoutes } from "../dashboard/routes.ts";
import { RaftKVError } from "../errors.ts";
import { FLEET_GROUP } from "../fleet/state.ts";
import { type EngineOpener, openEngine } from "../native/engine.ts";
import { NodeAdminPorts } from "./admin-ports.ts";
import { adminRoutes } from "./admin-routes.ts";
import { Core } from "./core.ts";
import { dashboardSource } from "./dashboard.ts";
import { RaftKVEventEmitter } from "./events.ts";
import type { BuildMachine } from "./groups.ts";
import { KeyspaceService } from "./keyspace-service.ts";
import { LocalKeyspaces } from "./keyspaces.ts";
import { type MetricsOptions, nodeMetrics } from "./node-metrics.ts";
import {
  checkZone,
  mergeNodeOptions,
  type NodeOptions,
  type NodeSettings,
  resolveNodeOptions,
} from "./options.ts";
import { type Readiness, readinessOf } from "./readiness.ts";
import type { CallTrace } from "./traces.ts";

interface Active {
  readonly core: Core;
  readonly server: AdminServer | undefined;
  readonly keyspaces: LocalKeyspaces;
  /** Set by `init`. */
  service: Promise<KeyspaceService> | undefined;
}

interface Activating {
  readonly name: "activating";
  done: Promise<void>;
  /** Set once there is something to close. */
  core: Core | undefined;
  /** It is to be closed, and waits for no other nodes. */
  cancelled: boolean;
}

type State =
  | { readonly name: "inactive" }
  | Activating
  | { readonly name: "active"; readonly active: Active }
  | { readonly name: "closing"; readonly done: Promise<void> };

/** See the head of this file. */
export class NodeLifecycle {
  readonly events = new RaftKVEventEmitter();
  /** What operators look at and do, through this node. */
  readonly admin = new AdminFunctions(
    () => this.adminPorts(),
    (options) => this.coreToRecover().recovery.recover(options),
  );
  /** Collects nothing until it is looked at. */
  readonly dashboard = new Dashboard(
    dashboardSource(
      () => (this.state.name === "active" ? this.state.active : undefined),
      this.events,
    ),
  );
  private readonly openEngine: EngineOpener;
  private options: NodeOptions;
  private state: State = { name: "inactive" };
  private settings: NodeSettings | undefined;
  private held = true;
  private readonly modules = new Map<string, BuildMachine>();

  /** `openEngine` opens what the node stands on. */
  constructor(options: NodeOptions, open: EngineOpener = openEngine) {
    this.options = options;
    this.openEngine = open;
  }

  /** The settings in force, or those that `activate` would use. */
  get current(): NodeSettings {
    return this.settings ?? resolveNodeOptions(this.options);
  }

  /** The beginning of a call's trace. */
  trace(target: CallTarget, key: unknown, argument: unknown): CallTrace {
    const node = this.activeCore()?.nodeName;
    return {
      ...(node === undefined ? {} : { node }),
      ...target,
      ...(this.current.traceArguments ? { key, argument } : {}),
      attempts: 1,
    };
  }

  /** Sets options for the next `activate`. */
  configure(options: NodeOptions): void {
    if (this.state.name !== "inactive") {
      throw new RaftKVError("NOT_INACTIVE", "configure the node before it is activated");
    }
    const merged = mergeNodeOptions(this.options, options);
    resolveNodeOptions(merged);
    this.options = merged;
  }

  /** Binds the code of a module, now and for later activations. */
  bindModule(name: string, build: BuildMachine): void {
    if (!this.modules.has(name)) this.modules.set(name, build);
    this.activeCore()?.groups.bind(name, this.modules.get(name) as BuildMachine);
  }

  /** Forgets the code of a module whose group is gone for good. */
  unbindModule(name: string): void {
    this.modules.delete(name);
  }

  /** Opens the node. */
  async activate(zone: string, options: NodeOptions | undefined): Promise<void> {
    checkZone(zone);
    const settings = resolveNodeOptions(mergeNodeOptions(this.options, options));
    while (this.state.name === "closing") await this.state.done;
    if (this.state.name !== "inactive") {
      throw new RaftKVError("NOT_INACTIVE", "this node is active already; deactivate it first");
    }
    this.settings = settings;
    const done = Promise.resolve();
    const state: Activating = { name: "activating", done, core: undefined, cancelled: false };
    this.state = state;
    state.done = this.open(zone, settings, state);
    await state.done;
  }

  /** Leaves the cluster and closes the node. */
  async deactivate(): Promise<void> {
    await this.core().cluster.leave();
    await this.close();
  }

  /** Closes the node; calls that overlap share one closing, and a closed node closes at once. */
  async close(): Promise<void> {
    if (this.state.name === "activating") {
      // It would wait for other nodes for as long as they do not come.
      this.state.cancelled = true;
      this.state.core?.cluster.cancelJoining();
      await this.state.done.catch(() => undefined);
    }
    if (this.state.name === "closing") return this.state.done;
    if (this.state.name !== "active") return;
    const done = this.shut(this.state.active);
    this.state = { name: "closing", done };
    await done;
  }

  /** Lets an open node hold the process alive. */
  ref(): void {
    this.held = true;
    this.activeCore()?.engine.ref();
  }

  /** Lets the process exit although the node is open. */
  unref(): void {
    this.held = false;
    this.activeCore()?.engine.unref();
  }

  /** The active node, if there is one. */
  activeCore(): Core | undefined {
    return this.state.name === "active" ? this.state.active.core : undefined;
  }

  /** The active node. @throws `NOT_ACTIVE` */
  core(): Core {
    return this.active().core;
  }

  /** The node, active or still waiting for the fleet's leader. @throws `NOT_ACTIVE` */
  coreToRecover(): Core {
    const { state } = this;
    const waiting = state.name === "activating" ? state.core : undefined;
    return waiting?.host.replica(FLEET_GROUP) === undefined ? this.core() : waiting;
  }

  /** The node's keyspaces, bound before or after `init`. @throws `NOT_ACTIVE` */
  keyspaces(): LocalKeyspaces {
    return this.active().keyspaces;
  }

  /** What administration is given of the active node. @throws `NOT_ACTIVE` */
  adminPorts(): AdminPorts {
    const { core, keyspaces } = this.active();
    return new NodeAdminPorts(core, keyspaces, () => this.service());
  }

  /** Opens the directory and starts what works for it; repeated calls share one start. */
  init(): Promise<KeyspaceService> {
    const active = this.active();
    if (active.service === undefined) {
      const service = KeyspaceService.start(active.core, active.keyspaces);
      active.service = service;
      service.catch(() => {
        if (active.service === service) active.service = undefined;
      });
    }
    return active.service;
  }

  /** The node's keyspace service. @throws `NOT_ACTIVE` before `init` */
  async service(): Promise<KeyspaceService> {
    const { service } = this.active();
    if (service === undefined) {
      throw new RaftKVError("NOT_ACTIVE", "call RaftKV.init() first", { outcome: "not applied" });
    }
    return service;
  }

  /** The active node's metrics. @throws `NOT_ACTIVE` */
  metrics(options: MetricsOptions | undefined): string {
    const { core, keyspaces } = this.active();
    return nodeMetrics(core, keyspaces, options);
  }

  /** Is the node ready to serve? */
  readiness(): Readiness {
    const core = this.activeCore();
    if (core !== undefined) return readinessOf(core);
    return { ready: false, reasons: [`the node is ${this.state.name}`] };
  }

  /** Starts an admin server for this node, to be closed by whoever started it. */
  serve(settings: AdminSettings): Promise<AdminServer> {
    return AdminServer.listen(settings, adminRoutes(this));
  }

  /** Starts a server that has the dashboard alone, to be closed by whoever started it. */
  async serveDashboard(settings: AdminSettings): Promise<AdminServer> {
    const server = await AdminServer.listen(settings, dashboardRoutes(this.dashboard));
    // So that there is a past to show by the time somebody looks.
    this.dashboard.start();
    return server;
  }

  /** Where the server of the option `admin` listens, `null` when there is none. */
  get adminAddress(): string | null {
    return this.state.name === "active" ? (this.state.active.server?.address ?? null) : null;
  }

  private active(): Active {
    if (this.state.name === "active") return this.state.active;
    const closing = this.state.name === "closing";
    throw new RaftKVError(
      closing ? "CLOSED" : "NOT_ACTIVE",
      closing ? "the node is closing" : "the node is not active; call RaftFleet.activate first",
      { outcome: "not applied" },
    );
  }

  private async open(zone: string, settings: NodeSettings, state: Activating): Promise<void> {
    let server: AdminServer | undefined;
    try {
      // Before all else: probes want an answer while the node waits for others.
      if (settings.admin !== undefined) server = await this.serve(settings.admin);
      const modules = [...this.modules.keys()];
      const opened = (core: Core) => {
        state.core = core;
        if (state.cancelled) core.cluster.cancelJoining();
      };
      const { events } = this;
      const core = await Core.open(zone, settings, events, modules, opened, this.openEngine);
      const active = { core, server, keyspaces: new LocalKeyspaces(core), service: undefined };
      for (const [name, build] of this.modules) core.groups.bind(name, build);
      core.groups.reconcile();
      if (!this.held) core.engine.unref();
      this.state = { name: "active", active };
    } catch (error) {
      await server?.close();
      this.state = { name: "inactive" };
      throw error;
    }
  }

  private async shut({ core, server, service }: Active): Promise<void> {
    this.dashboard.stop();
    try {
      const running = await service?.catch(() => undefined);
      running?.close();
      await core.close();
    } finally {
      await server?.close();
      this.state = { name: "inactive" };
    }
  }
}
