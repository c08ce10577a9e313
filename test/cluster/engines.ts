/** Real engines of one process, joined by real streams: each with its host, calls, reads, client. */

import { Client } from "../../ts/client/client.ts";
import { Reads } from "../../ts/client/reads.ts";
import { HostCalls } from "../../ts/cluster/calls.ts";
import { Host, type HostCall, type HostListener } from "../../ts/host/host.ts";
import type { Replica } from "../../ts/host/replica.ts";
import type { Result, StateMachine } from "../../ts/machine/machine.ts";
import { type MemberAddress, type NativeEngine, openEngine } from "../../ts/native/engine.ts";
import { OPTIONS } from "../native/support.ts";

const CLUSTER = 4711;

/** Members of a group, as every node of a test knows them. */
export type Members = Map<number, EngineNode[]>;

/** One node. */
export class EngineNode implements HostListener {
  readonly engine: NativeEngine;
  readonly id: number;
  readonly host: Host;
  readonly calls: HostCalls;
  readonly reads: Reads;
  readonly client: Client;
  address = "";
  /** How often a request of this node's callers was answered, by request number. */
  readonly answers = new Map<number, number>();
  /** Machines of the groups that leaders want here. */
  readonly builders = new Map<number, () => StateMachine>();
  readonly failures: unknown[] = [];
  private readonly waiting = new Set<() => void>();
  private held: [Uint8Array, boolean][] | undefined;

  private constructor(engine: NativeEngine, openedAt: number, members: Members) {
    this.engine = engine;
    const identity = engine.identity();
    this.id = identity.node;
    this.host = new Host(engine, identity, openedAt, this);
    this.calls = new HostCalls(engine);
    this.reads = new Reads(this.host, this.calls, {
      node: this.id,
      members: (group) => (members.get(group) ?? []).map(({ id }) => id),
      checkOpen: () => undefined,
    });
    this.client = new Client(engine, {
      target: (route) => ({ group: String(route) }),
      storageError: () => undefined,
      absence: () => undefined,
    });
  }

  static async open(members: Members): Promise<EngineNode> {
    const openedAt = performance.now();
    let node: EngineNode | undefined;
    const receive = (bytes: Uint8Array, more: boolean) => node?.receive(bytes, more);
    const engine = await openEngine({ ...OPTIONS, clusterName: "engines" }, receive);
    node = new EngineNode(engine, openedAt, members);
    node.address = await engine.listen({ listen: "127.0.0.1:0" });
    await engine.setCluster(CLUSTER);
    return node;
  }

  get member(): MemberAddress {
    return { node: this.id, address: this.address };
  }

  async close(): Promise<void> {
    await this.engine.close();
    this.host.close();
  }

  /** Lets the host fall behind its engine, as a busy event loop does. */
  holdEvents(): void {
    this.held ??= [];
  }

  /** Gives the host what it missed. */
  releaseEvents(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const [bytes, more] of held) this.host.receive(bytes, more);
  }

  private receive(bytes: Uint8Array, more: boolean): void {
    if (this.held === undefined) this.host.receive(bytes, more);
    else this.held.push([bytes, more]);
  }

  /** Makes the group's only member here. */
  async create(group: number): Promise<Replica> {
    const replica = this.host.attach(group, `group-${group}`, this.machine(group));
    const descriptor = new TextEncoder().encode(`group-${group}`);
    replica.leaseSlot = await this.engine.createGroupWith(group, descriptor, [this.member]);
    return replica;
  }

  /** Resolves once `condition` holds, looked at after each event that this node is told of. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
    });
  }

  settled(request: number, result: Result): void {
    this.answers.set(request, (this.answers.get(request) ?? 0) + 1);
    this.client.settled(request, result);
    this.look();
  }

  refused(request: number, _group: number, reason: number, unknown: boolean): void {
    this.client.refused(request, reason, unknown);
  }

  leaderChanged(replica: Replica): void {
    if (replica.leading) this.client.leaderAppeared();
    this.look();
  }

  replicaFailed(_replica: Replica, error: unknown): void {
    this.failures.push(error);
  }

  storageFailed(_kind: number, message: string): void {
    this.failures.push(message);
  }

  logged(): void {}

  called(call: HostCall): void {
    this.calls.receive(call);
  }

  memberWanted(group: number): void {
    const replica = this.host.attach(group, `group-${group}`, this.machine(group));
    const slot = this.engine.bindGroup(group);
    slot.then(
      (it) => {
        replica.leaseSlot = it;
      },
      (error: unknown) => this.failures.push(error),
    );
  }

  private look(): void {
    for (const look of [...this.waiting]) look();
  }

  private machine(group: number): () => StateMachine {
    const build = this.builders.get(group);
    if (build === undefined) throw new Error(`no code of group ${group}`);
    return build;
  }
}
