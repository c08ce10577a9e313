/**
 * Runs this node's replicas: takes the engine's events, applies entries, installs and writes
 * snapshots, follows leaders, and hands answers to the callers of this node.
 *
 * Events of a group are handled in the engine's order. A drain gives the event loop its turn after
 * a few milliseconds; what it could not handle waits here, and the engine's queue, which is bounded
 * in bytes, holds back what commits meanwhile.
 */
import { DRAIN_BYTES_MAX, DRAIN_SLICE_MS_MAX } from "../limits.ts";
import type { Result, StateMachine } from "../machine/machine.ts";
import { Sessions } from "../machine/sessions.ts";
import type { NativeEngine } from "../native/engine.ts";
import { EVENT, EVENT_TYPE } from "../native/frames.ts";
import { Leases } from "./leases.ts";
import { Replica, readLong, type SelfIdentity } from "./replica.ts";
import { Snapshots } from "./snapshots.ts";

/** Why the engine did not take commands; the numbers of event 8. */
export const REFUSED = {
  notLeader: 1,
  unknownGroup: 2,
  storageFailed: 3,
  overloaded: 4,
  closed: 5,
} as const;

/** What the host tells the rest of the node. */
export interface HostListener {
  /** A request of one of this node's callers was answered. */
  settled(request: number, result: Result): void;
  /** The engine did not take a request; `unknown`: it may have been applied all the same. */
  refused(request: number, group: number, reason: number, unknown: boolean): void;
  /** A group has another leader, or none (0). */
  leaderChanged(replica: Replica): void;
  /** A replica met a defect and was taken out of service. */
  replicaFailed(replica: Replica, error: unknown): void;
  /** Storage failed for good; `kind` as in event 9. */
  storageFailed(kind: number, message: string): void;
  /** A line of the engine's log; `level` as in event 10. */
  logged(level: number, message: string): void;
}

interface Drained {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly floats: DataView;
  at: number;
}

/** The replicas of this node, see the head of this file. */
export class Host {
  private readonly engine: NativeEngine;
  private readonly listener: HostListener;
  private readonly self: SelfIdentity;
  private readonly leases: Leases;
  private readonly snapshots: Snapshots;
  private readonly replicas = new Map<number, Replica>();
  private readonly touched = new Set<Replica>();
  private current: Drained | undefined;
  /** The engine delivers nothing until `drain` has said that nothing is left. */
  private pulling = false;
  private continuation: NodeJS.Immediate | undefined;
  private closed = false;

  /** `openedAt` is a reading of `performance.now()` from before the engine was opened. */
  constructor(engine: NativeEngine, self: SelfIdentity, openedAt: number, listener: HostListener) {
    this.engine = engine;
    this.self = self;
    this.listener = listener;
    this.leases = new Leases(engine.leases(), openedAt);
    this.snapshots = new Snapshots(engine);
  }

  /**
   * Makes room for a group's replica. To be called before the engine opens the group, since its
   * first events come before the engine's answer; `build` gets the sessions the machine shares.
   */
  attach(group: number, name: string, build: (sessions: Sessions) => StateMachine): Replica {
    const sessions = new Sessions();
    const settle = (request: number, result: Result) => this.listener.settled(request, result);
    const machine = build(sessions);
    const replica = new Replica(group, name, machine, sessions, this.self, this.leases, settle);
    this.replicas.set(group, replica);
    return replica;
  }

  /** Forgets a group's replica. */
  detach(group: number): void {
    const replica = this.replicas.get(group);
    if (replica === undefined) return;
    this.snapshots.cancel(replica);
    this.replicas.delete(group);
    replica.leading = false;
    replica.leaseSlot = -1;
  }

  /** The replica of a group, if this node has one. */
  replica(group: number): Replica | undefined {
    return this.replicas.get(group);
  }

  /** Takes a buffer of events from the engine; `more`: others wait, to be pulled. */
  receive(bytes: Uint8Array, more: boolean): void {
    if (this.closed) return;
    this.pulling ||= more;
    this.current = drained(bytes);
    this.work();
  }

  /** Stops handling events. */
  close(): void {
    this.closed = true;
    this.snapshots.close();
    if (this.continuation !== undefined) clearImmediate(this.continuation);
    this.current = undefined;
    for (const group of [...this.replicas.keys()]) this.detach(group);
  }

  private work(): void {
    const end = performance.now() + DRAIN_SLICE_MS_MAX;
    for (;;) {
      const { current } = this;
      if (current === undefined) break;
      if (current.at < current.words.length) this.step(current);
      if (this.closed) return;
      if (current.at >= current.words.length) this.current = this.pull();
      if (performance.now() >= end) break;
    }
    this.notify();
    if (this.current === undefined) return;
    if (!this.pulling) {
      this.pulling = true;
      this.engine.hold();
    }
    this.continuation = setImmediate(() => this.work());
  }

  private pull(): Drained | undefined {
    if (!this.pulling) return undefined;
    const next = this.engine.drain(DRAIN_BYTES_MAX);
    this.pulling = next !== null;
    return next === null ? undefined : drained(next);
  }

  private notify(): void {
    if (this.touched.size === 0) return;
    const touched = [...this.touched];
    this.touched.clear();
    for (const replica of touched) replica.onApplied?.();
  }

  private step(from: Drained): void {
    const { words, at } = from;
    from.at += (words[at + EVENT.length] as number) >> 2;
    const type = words[at + EVENT.type] as number;
    const rest = at + EVENT.rest;
    switch (type) {
      case EVENT_TYPE.commandsRefused:
        this.refused(words, words[at + EVENT.group] as number, rest);
        return;
      case EVENT_TYPE.storageFailed:
        this.listener.storageFailed(words[rest] as number, text(from, rest + 1));
        return;
      case EVENT_TYPE.logLine:
        this.listener.logged(words[rest] as number, text(from, rest + 1));
        return;
    }
    const replica = this.replicas.get(words[at + EVENT.group] as number);
    if (replica === undefined) return;
    try {
      this.stepReplica(replica, type, from, rest);
    } catch (error) {
      // A defect: this replica's state is no longer known to be right, so it must not answer.
      this.detach(replica.group);
      this.listener.replicaFailed(replica, error);
    }
  }

  private stepReplica(replica: Replica, type: number, from: Drained, rest: number): void {
    const { words, bytes } = from;
    switch (type) {
      case EVENT_TYPE.entry:
        replica.apply(words, from.floats, bytes, rest);
        this.touched.add(replica);
        break;
      case EVENT_TYPE.leaderChanged:
        replica.leader = readLong(words, rest);
        if (replica.leader !== this.self.node) replica.leading = false;
        this.leaderChanged(replica);
        break;
      case EVENT_TYPE.leaderReady:
        replica.leading = true;
        this.engine.hostReady(replica.group, readLong(words, rest));
        this.leaderChanged(replica);
        break;
      case EVENT_TYPE.beginSnapshot:
        this.snapshots.begin(replica, readLong(words, rest));
        break;
      case EVENT_TYPE.installSnapshot:
        this.snapshots.cancel(replica);
        replica.reset();
        break;
      case EVENT_TYPE.snapshotChunk: {
        const start = (rest + 1) * 4;
        replica.restore(bytes.subarray(start, start + (words[rest] as number)));
        break;
      }
      case EVENT_TYPE.snapshotInstalled:
        replica.machine.restored();
        this.touched.add(replica);
        break;
    }
  }

  private leaderChanged(replica: Replica): void {
    replica.onLeaderChange?.();
    this.listener.leaderChanged(replica);
  }

  private refused(words: Int32Array, group: number, rest: number): void {
    const reason = words[rest] as number;
    const count = words[rest + 1] as number;
    const requests = rest + 4;
    const outcomes = requests + count * 2;
    for (let at = 0; at < count; at++) {
      const unknown = words[outcomes + at] === 1;
      this.listener.refused(readLong(words, requests + at * 2), group, reason, unknown);
    }
  }
}

function drained(bytes: Uint8Array): Drained {
  const { buffer, byteOffset, length } = bytes;
  return {
    bytes,
    words: new Int32Array(buffer, byteOffset, length >> 2),
    floats: new DataView(buffer, byteOffset, length),
    at: 0,
  };
}

function text(from: Drained, at: number): string {
  const start = (at + 1) * 4;
  const end = start + (from.words[at] as number);
  return new TextDecoder().decode(from.bytes.subarray(start, end));
}
