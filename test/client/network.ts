/** Several hosts with calls between them, and leases and confirmations as a test gives them. */

import { type CallSettings, DEFAULT_CALL } from "../../ts/client/call.ts";
import { Reads } from "../../ts/client/reads.ts";
import { HostCalls } from "../../ts/cluster/calls.ts";
import { RaftKVError } from "../../ts/errors.ts";
import type { Replica } from "../../ts/host/replica.ts";
import type { Result, StateMachine } from "../../ts/machine/machine.ts";
import type { Sessions } from "../../ts/machine/sessions.ts";
import { LEASE_FOREVER } from "../../ts/native/frames.ts";
import { entryOf, events, hostOf, type SentCommand } from "../host/support.ts";

/** Settings whose time is over soon, so that a test of a failure does not take long. */
export const SHORT: CallSettings = { ...DEFAULT_CALL, timeout: 60, retry: 1, retryInterval: 1 };

/** One node: its host over a seam, its calls, its reads. */
export class Node {
  readonly id: number;
  readonly made: ReturnType<typeof hostOf>;
  readonly calls: HostCalls;
  readonly reads: Reads;
  /** Nobody reaches it: "down" is noticed at once, "silent" by the time limit. */
  state: "up" | "down" | "silent" = "up";
  /** Calls that reached it. */
  called = 0;
  private readonly slots = new Map<number, number>();
  private batch = 0;
  private request = 0;
  private index = 0;

  constructor(id: number, network: Network) {
    this.id = id;
    this.made = hostOf(id);
    this.calls = new HostCalls({
      callNode: (node, body, timeoutMs) => network.call(this, node, body, timeoutMs),
      callAddress: () => Promise.reject(new Error("no addresses here")),
      answerCall: (ticket, body) => network.answer(ticket, body),
    });
    this.reads = new Reads(this.made.host, this.calls, {
      node: id,
      members: (group) => network.members.get(group) ?? [],
      checkOpen: () => undefined,
    });
  }

  get host() {
    return this.made.host;
  }

  attach(group: number, build: (sessions: Sessions) => StateMachine): Replica {
    const replica = this.host.attach(group, `group-${group}`, build);
    replica.leaseSlot = this.slots.size;
    this.slots.set(group, replica.leaseSlot);
    return replica;
  }

  /** Another leader is known here; this node may be it. */
  follow(group: number, leader: number): void {
    this.host.receive(events.leader(group, leader), false);
    if (leader === this.id) this.host.receive(events.leaderReady(group), false);
    else this.lease(group, false);
  }

  lease(group: number, holds: boolean): void {
    Atomics.store(this.made.seam.slots, this.slots.get(group)!, holds ? LEASE_FOREVER : 0);
  }

  /** Leads under a lease. */
  lead(group: number): void {
    this.follow(group, this.id);
    this.lease(group, true);
  }

  /** Applies a command, given by its argument and its key, and returns its result. */
  apply(group: number, command: Omit<SentCommand, "request">): Result {
    const request = ++this.request;
    const commands = [{ ...command, request }];
    const batch = {
      node: this.id,
      incarnation: 1,
      number: ++this.batch,
      acknowledged: 0,
      commands,
    };
    this.host.receive(events.entry(group, ++this.index, entryOf([batch])), false);
    const settled = this.made.settled.find(([number]) => number === request);
    return settled?.[1];
  }
}

/** The nodes and what joins them. */
export class Network {
  readonly nodes = new Map<number, Node>();
  /** Who may have a replica of a group, as every node believes. */
  readonly members = new Map<number, number[]>();
  private readonly tickets = new Map<number, (body: Uint8Array) => void>();
  private ticket = 0;

  constructor(ids: readonly number[]) {
    for (const id of ids) this.nodes.set(id, new Node(id, this));
  }

  node(id: number): Node {
    return this.nodes.get(id)!;
  }

  call(from: Node, to: number, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    const node = this.nodes.get(to);
    if (node === undefined || node.state === "down") {
      return Promise.reject(new RaftKVError("NO_LEADER", "not sent", { outcome: "not applied" }));
    }
    return new Promise((resolve, reject) => {
      const late = () => reject(new RaftKVError("TIMEOUT", "silent", { outcome: "unknown" }));
      const timer = setTimeout(late, timeoutMs);
      if (node.state === "silent") return;
      const ticket = ++this.ticket;
      this.tickets.set(ticket, (answer) => {
        clearTimeout(timer);
        resolve(Buffer.from(answer));
      });
      node.called++;
      node.calls.receive({ ticket, node: from.id, incarnation: 1, isMember: true, body });
    });
  }

  answer(ticket: number, body: Uint8Array): void {
    this.tickets.get(ticket)?.(body);
    this.tickets.delete(ticket);
  }
}
