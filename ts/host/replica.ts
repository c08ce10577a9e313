/**
 * One group's replica on this node: its machine, its sessions, its leader, and how an entry of its
 * log is applied.
 *
 * Invariant: what is applied depends on the entry's bytes and the state alone, so that replicas
 * stay equal; what is particular to this node (settling its callers' promises, leading) happens
 * beside it and never feeds back into the machine.
 */
import { decodeValue, encodeValue } from "../codec/value.ts";
import { RaftKVError } from "../errors.ts";
import { HASH_END } from "../limits.ts";
import { Checksum } from "../machine/checksum.ts";
import type { ChecksumPass, CommandOrigin, Result, StateMachine } from "../machine/machine.ts";
import { PARKED, Refusal } from "../machine/machine.ts";
import type { RetainedBatch, SessionImage, Sessions } from "../machine/sessions.ts";
import { BATCH, ENTRY, FLAG_HOST, FLAG_RETRY, KEY_LENGTH_MASK, RECORD } from "../native/frames.ts";
import { Arrivals } from "./arrivals.ts";
import type { Checks } from "./checks.ts";
import { ReplicaContext } from "./context.ts";
import { readLong } from "./drained.ts";
import { type ForeignResults, LATE } from "./foreign-results.ts";
import type { Leases } from "./leases.ts";
import type { Quarantine } from "./quarantine.ts";
import type { ReadRounds } from "./read-rounds.ts";

/** Who this node is, as batches name it. */
export interface SelfIdentity {
  readonly node: number;
  readonly incarnation: number;
}

/** Gives the answer to a request of one of this node's callers. */
export type SettleRequest = (request: number, result: Result) => void;

/** What a replica is told and asked with on its node. */
export interface ReplicaSurroundings {
  readonly self: SelfIdentity;
  readonly leases: Leases;
  readonly rounds: ReadRounds;
  readonly foreign: ForeignResults;
  readonly checks: Checks;
  readonly settle: SettleRequest;
}

interface Preamble {
  readonly format: 1;
  readonly now: number;
  readonly sessions: readonly SessionImage[];
}

/** The command that is being applied; one object, overwritten for each. */
class CurrentCommand {
  node = 0;
  incarnation = 0;
  request = 0;
  hash = 0;
  fingerprint = 0;
  bytes: Uint8Array = new Uint8Array(0);
  keyStart = 0;
  argumentStart = 0;
}

/** A group's replica on this node, see the head of this file. */
export class Replica {
  readonly group: number;
  readonly name: string;
  readonly machine: StateMachine;
  readonly sessions: Sessions;
  /** Slot of the group's lease, -1 until the engine has opened the group. */
  leaseSlot = -1;
  /** Does this node lead, with everything of earlier terms applied? */
  leading = false;
  /** Node id of the leader, 0 when none is known. */
  leader = 0;
  /** The term in which it leads. */
  term = 0;
  /** Counts the commands that its machine was given. */
  changes = 0;
  /** The last index at which its state was found to be its leader's. */
  verified = 0;
  /** Set while its state is not its leader's: then it answers nobody. */
  quarantine: Quarantine | null = null;
  /** Index of the last entry that was applied. */
  applied = 0;
  /** Called after entries were applied or a snapshot was installed. */
  onApplied: (() => void) | undefined;
  /** Called when the leader changed, after `leader` and `leading` did. */
  onLeaderChange: (() => void) | undefined;

  private readonly self: SelfIdentity;
  private readonly leases: Leases;
  private readonly rounds: ReadRounds;
  private readonly arrivals = new Arrivals();
  private readonly foreign: ForeignResults;
  private readonly checks: Checks;
  private readonly settleCaller: SettleRequest;
  private readonly context: ReplicaContext;
  private readonly command = new CurrentCommand();
  private awaitsPreamble = false;
  private isWhole = true;

  constructor(
    group: number,
    name: string,
    machine: StateMachine,
    sessions: Sessions,
    surroundings: ReplicaSurroundings,
  ) {
    this.group = group;
    this.name = name;
    this.machine = machine;
    machine.gate = this;
    this.sessions = sessions;
    this.self = surroundings.self;
    this.leases = surroundings.leases;
    this.rounds = surroundings.rounds;
    this.foreign = surroundings.foreign;
    this.checks = surroundings.checks;
    this.settleCaller = surroundings.settle;
    this.context = new ReplicaContext((origin, result) => this.settleParked(origin, result));
  }

  /** Is the group led: by this node, with everything of earlier terms applied, or by another? */
  get isServed(): boolean {
    return this.leading || (this.leader !== 0 && this.leader !== this.self.node);
  }

  /**
   * May this node answer linearizable reads of the group by itself, now? Another node can learn
   * that an entry is committed, and answer its callers, before this host has got to that entry.
   */
  canRead(): boolean {
    const { leases, leaseSlot } = this;
    return leases.holds(leaseSlot) && leases.missing(leaseSlot, this.applied) <= 0;
  }

  /**
   * Resolves when a linearizable read that begins now may be answered here: at once, after entries
   * that are on their way, or, without a lease, after a quorum was asked. Rejects when this node
   * does not lead, or nobody confirmed that it does.
   */
  readable(): Promise<void> {
    const { leases, leaseSlot } = this;
    if (leases.holds(leaseSlot)) {
      const missing = leases.missing(leaseSlot, this.applied);
      return missing <= 0 ? Promise.resolve() : this.arrivals.wait(this.applied + missing);
    }
    return this.confirmed();
  }

  /** Resolves once a majority has confirmed just now that this node leads: no lease will do. */
  confirmed(): Promise<void> {
    if (this.leading) return this.rounds.wait(this.group);
    return Promise.reject(
      new RaftKVError("NO_LEADER", `this node does not lead group ${this.name}`),
    );
  }

  /** Everything up to `index` was given, and this entry holds nothing to apply. */
  passBy(index: number): void {
    this.applied = index;
    this.arrivals.reached(index);
  }

  /** Ends the reads that wait for entries: the replica is taken away. */
  end(): void {
    this.leading = false;
    this.leaseSlot = -1;
    this.arrivals.end();
    this.foreign.end();
    this.rounds.end(this.group);
  }

  /** Is the state that of some moment, and neither half of a snapshot nor in quarantine? */
  get whole(): boolean {
    return this.isWhole && this.quarantine === null;
  }

  /** Applies the entry whose event body starts at word `at`. */
  apply(words: Int32Array, floats: DataView, bytes: Uint8Array, at: number): void {
    const index = readLong(words, at);
    const entry = at + 4;
    const now = floats.getFloat64((entry + ENTRY.now) * 4, true);
    const seed = entry + ENTRY.seed;
    this.context.enter(index, now, words[seed] as number, words[seed + 1] as number);
    let batch = entry + ENTRY.headerBytes / 4;
    for (let left = words[entry + ENTRY.batches] as number; left > 0; left--) {
      this.applyBatch(words, bytes, batch);
      batch += (words[batch + BATCH.length] as number) >> 2;
    }
    this.applied = index;
    this.arrivals.reached(index);
  }

  /** The state that belongs to the replica and not to its machine: the first piece of a snapshot. */
  preamble(): Uint8Array {
    const image: Preamble = {
      format: 1,
      now: this.context.now,
      sessions: this.sessions.image(),
    };
    return encodeValue(image);
  }

  /** Starts a checksum of the present state: of the machine, the sessions and the clock. */
  checksum(): ChecksumPass {
    const own = new Checksum();
    own.addValue([this.context.now, ...this.sessions.positions()]);
    const pass = this.machine.checksum();
    return {
      next(bytes) {
        const checksum = pass.next(bytes);
        if (checksum === null) return null;
        own.addValue(checksum);
        return own.toString();
      },
      close: () => pass.close(),
    };
  }

  /** Starts to install a snapshot. */
  reset(): void {
    this.machine.reset();
    this.sessions.restore([]);
    this.foreign.end();
    this.context.now = 0;
    this.awaitsPreamble = true;
    this.isWhole = false;
  }

  /** Takes the next piece of the snapshot that is being installed. */
  restore(piece: Uint8Array): void {
    if (!this.awaitsPreamble) {
      this.machine.restore(piece);
      return;
    }
    this.awaitsPreamble = false;
    const image = decodeValue(piece) as Preamble;
    this.context.now = image.now;
    this.sessions.restore(image.sessions);
  }

  /** All pieces of the snapshot were taken: it may hold answers that this node's callers wait for. */
  restored(): void {
    this.machine.restored();
    this.isWhole = true;
    const { node, incarnation } = this.self;
    for (const kept of this.sessions.within(0, HASH_END)) {
      if (kept.node !== node || kept.incarnation !== incarnation) continue;
      this.settleRequest(kept.request, kept.result);
    }
  }

  private applyBatch(words: Int32Array, bytes: Uint8Array, at: number): void {
    const node = readLong(words, at + BATCH.node);
    const incarnation = words[at + BATCH.incarnation] as number;
    const acknowledged = readLong(words, at + BATCH.acknowledged);
    const count = words[at + BATCH.records] as number;
    const number = readLong(words, at + BATCH.number);
    const batch = this.sessions.begin(node, incarnation, number, acknowledged, count);
    const own = node === this.self.node && incarnation === this.self.incarnation;
    const { command } = this;
    command.node = node;
    command.incarnation = incarnation;
    command.bytes = bytes;
    let record = at + BATCH.headerBytes / 4;
    for (let left = count; left > 0; left--) {
      command.request = acknowledged + ((words[record + RECORD.request] as number) >>> 0);
      command.hash = words[record + RECORD.hash] as number;
      command.fingerprint = words[record + RECORD.fingerprint] as number;
      const key = words[record + RECORD.key] as number;
      command.keyStart = record * 4 + RECORD.headerBytes;
      command.argumentStart = command.keyStart + (key & KEY_LENGTH_MASK);
      record += (words[record + RECORD.length] as number) >> 2;
      this.context.nextCommand();
      const result = this.applyCommand(batch, key);
      if (own) {
        if (result !== PARKED) this.settleRequest(command.request, result);
      } else if (result === PARKED) {
        this.foreign.park(command);
      } else if (this.leading && result instanceof Refusal) {
        this.foreign.refused(command, result);
      }
    }
  }

  private applyCommand(batch: RetainedBatch | null, key: number): Result | typeof PARKED {
    const { command, sessions } = this;
    const { request, hash } = command;
    if (batch === null) {
      sessions.late(command);
      return LATE;
    }
    if ((key & FLAG_RETRY) !== 0) {
      const before = sessions.find(command.node, command.incarnation, request);
      if (before !== undefined) return before.result;
      if (sessions.isOver(command)) return LATE;
    }
    if ((key & FLAG_HOST) !== 0) {
      const done = this.checks.command(this, command, this.context.index);
      sessions.retain(batch, request, hash, done);
      return done;
    }
    this.changes++;
    const result = this.machine.apply(command, this.context);
    if (result === PARKED) {
      sessions.park(batch, request, hash);
    } else {
      sessions.retain(batch, request, hash, result);
    }
    return result;
  }

  /** Gives a caller of this node the answer, unless that comes from a state that does not count. */
  private settleRequest(request: number, result: Result): void {
    if (this.quarantine?.isSilent !== true) this.settleCaller(request, result);
  }

  private settleParked(origin: CommandOrigin, result: Result): void {
    this.sessions.retainLater(origin, result);
    const { node, incarnation } = this.self;
    if (origin.node === node && origin.incarnation === incarnation) {
      this.settleRequest(origin.request, result);
    } else {
      this.foreign.settled(origin, result);
    }
  }
}

/** A value of a result: decoded when it was an object. */
export function resultValue(result: Exclude<Result, Refusal>): unknown {
  if (typeof result !== "object" || result === null) return result;
  return decodeValue(result.bytes);
}
