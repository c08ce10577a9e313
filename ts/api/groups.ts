/**
 * Keeps this node's replicas as the fleet's state says: opens the groups that this node is a member
 * of and whose code its program has bound, and takes removed ones down.
 *
 * It compares what should be with what is, so it may run at any time and any number of times, and
 * a crash in the middle is mended by the next run.
 */
import { encodeValue } from "../codec/value.ts";
import type { FleetGroup, FleetState } from "../fleet/state.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import type { StateMachine } from "../machine/machine.ts";
import type { Sessions } from "../machine/sessions.ts";
import type { NativeEngine } from "../native/engine.ts";

/** Builds the machine of a group whose code is bound. */
export type BuildMachine = (group: FleetGroup, sessions: Sessions) => StateMachine;

/** What the groups ask the rest of the node. */
export interface GroupsContext {
  /** The fleet's state as this node knows it. */
  fleet(): FleetState;
  /** Tells the fleet that this node has taken a group down. */
  confirmRemoved(group: FleetGroup): Promise<void>;
  /** A replica was made, and is about to be opened. */
  attached(replica: Replica): void;
  /** Something failed that will be tried again. */
  warn(message: string, cause: unknown): void;
}

/** How long to wait before a group that could not be opened is tried again, in milliseconds. */
const RETRY_MS = 500;

/** This node's groups, see the head of this file. */
export class LocalGroups {
  private readonly engine: NativeEngine;
  private readonly host: Host;
  private readonly node: number;
  private readonly context: GroupsContext;
  private readonly builders = new Map<string, BuildMachine>();
  private readonly opening = new Map<number, Promise<Replica>>();
  private readonly opened = new Set<number>();
  private readonly removing = new Set<number>();
  private retry: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(engine: NativeEngine, host: Host, node: number, context: GroupsContext) {
    this.engine = engine;
    this.host = host;
    this.node = node;
    this.context = context;
  }

  /** Binds code: groups of this module are opened from now on. */
  bind(module: string, build: BuildMachine): void {
    this.builders.set(module, build);
  }

  /** Is the code of this module bound? */
  isBound(module: string): boolean {
    return this.builders.has(module);
  }

  /** Has this node's replica of a group been opened? */
  isOpen(group: number): boolean {
    return this.opened.has(group);
  }

  /** Brings this node's replicas to what the fleet says. */
  reconcile(): void {
    if (this.closed) return;
    for (const group of this.context.fleet().groups.values()) {
      if (!group.members.includes(this.node)) continue;
      if (group.state === "removing") {
        void this.remove(group);
      } else if (!this.opened.has(group.id) && this.builders.has(group.module)) {
        this.open(group).catch((error: unknown) => this.failed(`open ${group.name}`, error));
      }
    }
  }

  /** Opens this node's replica of a group; resolves when it serves. */
  open(group: FleetGroup): Promise<Replica> {
    const replica = this.host.replica(group.id);
    if (replica !== undefined && this.opened.has(group.id)) return Promise.resolve(replica);
    const running = this.opening.get(group.id);
    if (running !== undefined) return running;
    const opening = this.start(group).finally(() => this.opening.delete(group.id));
    this.opening.set(group.id, opening);
    return opening;
  }

  /** Removes groups that the engine still stores and the fleet has forgotten. */
  async sweep(): Promise<void> {
    const known = new Set([...this.context.fleet().groups.values()].map(({ id }) => id));
    for (const { group } of this.engine.storedGroups()) {
      if (known.has(group) || this.host.replica(group) !== undefined) continue;
      await this.engine.removeGroup(group);
    }
  }

  /** Opens and removes nothing any more. */
  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
  }

  private async start(group: FleetGroup): Promise<Replica> {
    const build = this.builders.get(group.module);
    if (build === undefined) throw new Error(`the code of ${group.name} is not bound`);
    const replica = this.host.attach(group.id, group.name, (sessions) => build(group, sessions));
    this.context.attached(replica);
    try {
      const { name, module, settings } = group;
      const descriptor = encodeValue({ name, module, settings });
      replica.leaseSlot = await this.engine.createGroup(group.id, descriptor);
      this.opened.add(group.id);
      return replica;
    } catch (error) {
      this.host.detach(group.id);
      throw error;
    }
  }

  private async remove(group: FleetGroup): Promise<void> {
    if (this.removing.has(group.id)) return;
    this.removing.add(group.id);
    try {
      await this.opening.get(group.id)?.catch(() => undefined);
      this.host.detach(group.id);
      this.opened.delete(group.id);
      await this.engine.removeGroup(group.id);
      await this.context.confirmRemoved(group);
    } catch (error) {
      this.failed(`remove ${group.name}`, error);
    } finally {
      this.removing.delete(group.id);
    }
  }

  private failed(what: string, error: unknown): void {
    if (this.closed) return;
    this.context.warn(`could not ${what}; trying again`, error);
    this.retry ??= setTimeout(() => {
      this.retry = undefined;
      this.reconcile();
    }, RETRY_MS).unref();
  }
}
