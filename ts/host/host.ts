/**
 * Runs this node's replicas: takes the engine's events, applies entries, installs and writes
 * snapshots, follows leaders, and hands answers to the callers of this node.
 *
 * Events of a group are handled in the engine's order. A drain gives the event loop its turn after
 * a few milliseconds; what it could not handle waits here, and the engine's queue, which is bounded
 * in bytes, holds back what commits meanwhile.
 */
import { DRAIN_BYTES_MAX, DRAIN_SLICE_MS_MAX } from "../limits.ts";
import type { StateMachine } from "../machine/machine.ts";
import { Sessions } from "../machine/sessions.ts";
import type { NativeEngine } from "../native/engine.ts";
import { EVENT, EVENT_TYPE } from "../native/frames.ts";
import { Checks, type Difference } from "./checks.ts";
import { tellCluster } from "./cluster-events.ts";
import { type Drained, drained, readBytes, readLong, readUtf8 } from "./drained.ts";
import { ForeignResults, settleResults, WaitingTickets } from "./foreign-results.ts";
import { Leases } from "./leases.ts";
import type { HostListener } from "./listener.ts";
import { readEngineLine } from "./log-line.ts";
import { Quarantine } from "./quarantine.ts";
import { ReadRounds } from "./read-rounds.ts";
import { Replica, type SelfIdentity } from "./replica.ts";
import { Snapshots } from "./snapshots.ts";

/** Why the engine did not take commands; the numbers of event 8. */
export const REFUSED = {
  notLeader: 1,
  unknownGroup: 2,
  storageFailed: 3,
  overloaded: 4,
  closed: 5,
} as const;

export type { Difference } from "./checks.ts";
export type { ClusterListener, HostCall, HostListener, PeerState } from "./listener.ts";

/** Level of event 10. */
const LOG_ERROR = 1;

interface Hosted {
  readonly replica: Replica;
  readonly foreign: ForeignResults;
}

/** The replicas of this node, see the head of this file. */
export class Host {
  readonly checks: Checks;
  private readonly engine: NativeEngine;
  private readonly listener: HostListener;
  private readonly self: SelfIdentity;
  private readonly leases: Leases;
  private readonly snapshots: Snapshots;
  private readonly rounds: ReadRounds;
  private readonly waitingTickets = new WaitingTickets();
  /** Answers for groups without a replica here: their senders are asked to come again. */
  private readonly nothing: ForeignResults;
  private readonly replicas = new Map<number, Hosted>();
  private readonly touched = new Set<Replica>();
  private readonly leaderWaits = new Map<number, Set<() => void>>();
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
    this.rounds = new ReadRounds(engine);
    this.nothing = new ForeignResults(engine, new Sessions(), this.waitingTickets);
    this.checks = new Checks(self.node, (replica, difference) => {
      this.quarantine(replica, difference);
    });
  }

  /**
   * Makes room for a group's replica. To be called before the engine opens the group, since its
   * first events come before the engine's answer; `build` gets the sessions the machine shares.
   */
  attach(group: number, name: string, build: (sessions: Sessions) => StateMachine): Replica {
    const sessions = new Sessions();
    const { self, leases, rounds, checks } = this;
    const foreign = new ForeignResults(this.engine, sessions, this.waitingTickets);
    const replica = new Replica(group, name, build(sessions), sessions, {
      ...{ self, leases, rounds, foreign, checks },
      settle: (request, result) => this.listener.settled(request, result),
    });
    this.replicas.set(group, { replica, foreign });
    return replica;
  }

  /** Forgets a group's replica. */
  detach(group: number): void {
    const hosted = this.replicas.get(group);
    if (hosted === undefined) return;
    const { replica } = hosted;
    this.snapshots.cancel(replica);
    this.checks.cancel(replica);
    replica.quarantine?.end();
    this.replicas.delete(group);
    replica.end();
  }

  /** The replica of a group, if this node has one. */
  replica(group: number): Replica | undefined {
    return this.replicas.get(group)?.replica;
  }

  /** All replicas of this node. */
  *all(): IterableIterator<Replica> {
    for (const { replica } of this.replicas.values()) yield replica;
  }

  /**
   * Makes a replica in quarantine what its leader was at `index`; `false` when it came too late.
   * Rejects, and the replica is gone, when the pieces cannot be read.
   */
  async rebuild(replica: Replica, index: number, pieces: readonly Uint8Array[]): Promise<boolean> {
    try {
      return (await replica.quarantine?.install(index, pieces)) ?? false;
    } catch (error) {
      this.failed(replica, error);
      throw error;
    }
  }

  /** Resolves once everything that the engine has given so far was handled. */
  async handled(): Promise<void> {
    while (this.current !== undefined && !this.closed) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Calls back once the group has another leader as far as this node's replica knows; the function
   * that comes back ends the wait.
   */
  onceLeaderChanged(group: number, callback: () => void): () => void {
    const waiting = this.leaderWaits.get(group) ?? new Set();
    this.leaderWaits.set(group, waiting);
    waiting.add(callback);
    return () => {
      waiting.delete(callback);
      if (waiting.size === 0 && this.leaderWaits.get(group) === waiting) {
        this.leaderWaits.delete(group);
      }
    };
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
    this.checks.close();
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
    for (const replica of touched) {
      try {
        replica.onApplied?.();
      } catch (error) {
        // Entries of other groups go on; while the engine closes, what follows from one may fail.
        this.listener.logged(LOG_ERROR, `after entries of ${replica.name}: ${String(error)}`);
      }
    }
  }

  private step(from: Drained): void {
    const { words, at } = from;
    from.at += (words[at + EVENT.length] as number) >> 2;
    const type = words[at + EVENT.type] as number;
    const group = words[at + EVENT.group] as number;
    const rest = at + EVENT.rest;
    switch (type) {
      case EVENT_TYPE.commandsRefused:
        this.refused(words, group, rest);
        return;
      case EVENT_TYPE.storageFailed:
        this.listener.storageFailed(words[rest] as number, readUtf8(from, rest + 1));
        return;
      case EVENT_TYPE.logLine:
        this.logLine(from, rest);
        return;
      case EVENT_TYPE.results:
        this.results(group, readBytes(from, rest));
        return;
      case EVENT_TYPE.memberRemoved:
        this.detach(group);
        this.tell(type, group, from, rest);
        return;
      case EVENT_TYPE.memberWanted:
      case EVENT_TYPE.call:
      case EVENT_TYPE.peerChanged:
      case EVENT_TYPE.streamRefused:
        this.tell(type, group, from, rest);
        return;
    }
    const hosted = this.replicas.get(group);
    if (type === EVENT_TYPE.resultsWanted && hosted?.replica.whole !== true) {
      this.nothing.wanted(readLong(words, rest), words, rest + 4);
      return;
    }
    if (hosted === undefined) return;
    const { replica } = hosted;
    try {
      if (replica.quarantine?.take(type, from, rest) === true) return;
      this.stepReplica(hosted, type, from, rest);
    } catch (error) {
      this.failed(replica, error);
    }
  }

  private logLine(from: Drained, rest: number): void {
    const { message, fields } = readEngineLine(readUtf8(from, rest + 1));
    this.listener.logged(from.words[rest] as number, message, fields);
  }

  /** A defect: this replica's state is no longer known to be right, so it must not answer. */
  private failed(replica: Replica, error: unknown): void {
    if (this.replica(replica.group) !== replica) return;
    this.detach(replica.group);
    this.listener.replicaFailed(replica, error);
  }

  private quarantine(replica: Replica, difference: Difference): void {
    const { group } = replica;
    const hosted = this.replicas.get(group);
    if (hosted?.replica !== replica || replica.quarantine !== null) return;
    this.snapshots.fail(replica, "the replica is about to be rebuilt");
    this.checks.cancel(replica);
    replica.quarantine = new Quarantine(replica, {
      engine: this.engine,
      step: (type, from, rest) => this.stepReplica(hosted, type, from, rest),
      elected: () => this.listener.quarantinedElected?.(replica),
      released: (term) => {
        if (term !== null && replica.leader === this.self.node) this.lead(replica, term);
        this.listener.replicaServesAgain?.(replica);
      },
    });
    this.listener.replicaDiffers?.(replica, difference);
  }

  private stepReplica(hosted: Hosted, type: number, from: Drained, rest: number): void {
    const { words, bytes } = from;
    const { replica } = hosted;
    switch (type) {
      case EVENT_TYPE.entry:
        replica.apply(words, from.floats, bytes, rest);
        this.touched.add(replica);
        break;
      case EVENT_TYPE.passedBy:
        replica.passBy(readLong(words, rest));
        break;
      case EVENT_TYPE.leaderChanged:
        replica.leader = readLong(words, rest);
        replica.term = readLong(words, rest + 2);
        if (replica.leader !== this.self.node) replica.leading = false;
        this.leaderChanged(replica);
        break;
      case EVENT_TYPE.leaderReady:
        this.lead(replica, readLong(words, rest));
        break;
      case EVENT_TYPE.beginSnapshot:
        this.snapshots.begin(replica, readLong(words, rest));
        break;
      case EVENT_TYPE.installSnapshot:
        this.snapshots.cancel(replica);
        this.checks.cancel(replica);
        replica.reset();
        break;
      case EVENT_TYPE.snapshotChunk:
        replica.restore(readBytes(from, rest));
        break;
      case EVENT_TYPE.snapshotInstalled:
        replica.restored();
        this.touched.add(replica);
        break;
      case EVENT_TYPE.readReady:
        this.rounds.ready(replica.group, readLong(words, rest));
        break;
      case EVENT_TYPE.resultsWanted:
        hosted.foreign.wanted(readLong(words, rest), words, rest + 4);
        break;
    }
  }

  private lead(replica: Replica, term: number): void {
    replica.leading = true;
    this.engine.hostReady(replica.group, term);
    this.leaderChanged(replica);
  }

  private leaderChanged(replica: Replica): void {
    this.checks.leaderChanged(replica);
    replica.onLeaderChange?.();
    this.listener.leaderChanged(replica);
    const waiting = this.leaderWaits.get(replica.group);
    this.leaderWaits.delete(replica.group);
    for (const callback of waiting ?? []) callback();
  }

  /** What another node sent must not end this node's work, whatever it is. */
  private tell(type: number, group: number, from: Drained, rest: number): void {
    try {
      tellCluster(this.listener, type, group, from, rest);
    } catch (error) {
      this.listener.logged(LOG_ERROR, `an event of type ${type} failed: ${String(error)}`);
    }
  }

  private results(group: number, bytes: Uint8Array): void {
    const { self, listener } = this;
    try {
      settleResults(bytes, self, (request, result) => listener.settled(request, result));
    } catch (error) {
      // Their senders learn by their time limits that the outcome is unknown.
      listener.logged(LOG_ERROR, `results of group ${group} cannot be read: ${String(error)}`);
    }
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
