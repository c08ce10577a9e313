/**
 * Rebuilds replicas in quarantine from their leaders' states: the leader's host writes a snapshot of
 * its present state for the other one, which takes it piece by piece and installs it.
 *
 * The group's members and logs stay as they are, so a majority is never at risk; nothing is replayed
 * that could come out differently again. A node rebuilds one replica at a time. One that is elected
 * to lead a group whose state it holds in quarantine hands over to a member that is not; where there
 * is none, its own state is the one that counts from now on.
 */
import { RaftKVError } from "../errors.ts";
import type { Difference } from "../host/checks.ts";
import type { Replica } from "../host/replica.ts";
import {
  REBUILD_CALL_MS,
  REBUILD_IDLE_MS_MAX,
  REBUILD_RETRY_MS,
  REBUILDS_SENT_AT_ONCE_MAX,
  SNAPSHOT_PIECE_BYTES_MAX,
} from "../limits.ts";
import type { SnapshotWriter } from "../machine/machine.ts";
import type { CallMessage, HostCalls } from "./calls.ts";
import type { Cancel } from "./membership.ts";

/** Types of the calls. */
const CALL = {
  differs: "replicaDiffers",
  isSound: "replicaIsSound",
  state: "replicaState",
  piece: "replicaPiece",
  rebuilt: "replicaRebuilt",
} as const;

/** How often the members are asked whether one of them can lead instead. */
const HAND_OVER_ATTEMPTS = 2;

/** What rebuilding acts through. */
export interface RebuildPorts {
  /** This node's id. */
  readonly node: number;
  readonly calls: Pick<HostCalls, "call" | "handle">;
  /** This node's replica of a group. */
  replica(group: number): Replica | undefined;
  /** The nodes that vote in a group. */
  voters(group: number): readonly number[];
  /** Makes a replica what its leader was at an index; `false` when it came too late. */
  rebuild(replica: Replica, index: number, pieces: readonly Uint8Array[]): Promise<boolean>;
  transferLeader(group: number, to: number): Promise<void>;
  /** Another node says that its replica is not what this node's is. */
  told(replica: Replica, node: number, difference: Difference): void;
  /** Another node has made its replica what this node's is. */
  rebuilt(replica: Replica): void;
  /** Calls back once after so many milliseconds. */
  schedule(delay: number, callback: () => void): Cancel;
  warn(message: string, cause: unknown): void;
}

/** A state that another node is taking. */
interface Sending {
  readonly node: number;
  readonly writer: SnapshotWriter;
  end: Cancel;
}

/** See the head of this file. */
export class Rebuilds {
  private readonly ports: RebuildPorts;
  private readonly waiting: Replica[] = [];
  private readonly sending = new Map<number, Sending>();
  private sendings = 0;
  private working = false;
  private stopped = false;

  constructor(ports: RebuildPorts) {
    this.ports = ports;
    const { calls } = ports;
    calls.handle(CALL.differs, ({ group, difference }, { node }) => {
      const replica = ports.replica(Number(group));
      if (replica?.leading) ports.told(replica, node, difference as Difference);
    });
    calls.handle(CALL.rebuilt, ({ group }) => {
      const replica = ports.replica(Number(group));
      if (replica !== undefined) ports.rebuilt(replica);
    });
    calls.handle(CALL.isSound, ({ group }) => {
      const replica = ports.replica(Number(group));
      return replica?.whole === true && replica.applied > 0;
    });
    calls.handle(CALL.state, ({ group, from }, { node }) =>
      this.send(ports.replica(Number(group)), Number(from), node),
    );
    calls.handle(CALL.piece, ({ sending }, { node }) => this.piece(Number(sending), node));
  }

  /** Ends what is under way. */
  stop(): void {
    this.stopped = true;
    this.waiting.length = 0;
    for (const number of [...this.sending.keys()]) this.endSending(number);
  }

  /** A replica of this node is in quarantine: rebuilds it as soon as its leader can be asked. */
  begin(replica: Replica, difference: Difference): void {
    const { group } = replica;
    // Only a word: the other learns nothing by it that the rebuilding depends on.
    const message = { type: CALL.differs, group, difference: { ...difference } };
    this.ports.calls.call(replica.leader, message, REBUILD_CALL_MS).catch(() => undefined);
    this.waiting.push(replica);
    void this.work();
  }

  /** This node was elected to lead a group that it holds in quarantine. */
  async elected(replica: Replica): Promise<void> {
    const { ports } = this;
    const { group, term, quarantine } = replica;
    const isSame = () =>
      !this.stopped &&
      replica.quarantine === quarantine &&
      replica.term === term &&
      replica.leader === ports.node;
    for (let attempt = 0; attempt < HAND_OVER_ATTEMPTS; attempt++) {
      for (const node of ports.voters(group)) {
        if (node === ports.node) continue;
        const message = { type: CALL.isSound, group };
        const isSound = await ports.calls
          .call(node, message, REBUILD_CALL_MS)
          .catch(() => undefined);
        if (!isSame()) return;
        if (isSound !== true) continue;
        await ports.transferLeader(group, node).catch(() => undefined);
        if (!isSame()) return;
      }
    }
    ports.warn(
      `no other replica of ${replica.name} can lead`,
      "the state of this node's, which was not an earlier leader's, counts from now on",
    );
    quarantine?.trust();
  }

  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    for (;;) {
      const replica = this.waiting.shift();
      if (replica === undefined || this.stopped) break;
      if (replica.quarantine === null) continue;
      const done = await this.attempt(replica).catch((error: unknown) => {
        if (!(error instanceof RaftKVError)) {
          this.ports.warn(`could not rebuild the replica of ${replica.name}`, error);
        }
        return false;
      });
      if (done) continue;
      this.waiting.push(replica);
      await new Promise<void>((resolve) => this.ports.schedule(REBUILD_RETRY_MS, resolve));
    }
    this.working = false;
  }

  private async attempt(replica: Replica): Promise<boolean> {
    const { calls, node } = this.ports;
    const { leader, group, quarantine } = replica;
    if (leader === 0 || leader === node || quarantine === null) return false;
    const { from } = quarantine;
    const ask = (message: CallMessage) => calls.call(leader, message, REBUILD_CALL_MS);
    const begun = await ask({ type: CALL.state, group, from });
    const { sending, index, preamble } = begun as {
      readonly sending: number;
      readonly index: number;
      readonly preamble: Uint8Array;
    };
    const pieces = [preamble];
    for (;;) {
      const piece = await ask({ type: CALL.piece, sending });
      if (this.stopped) return true;
      if (piece === null) break;
      pieces.push(piece as Uint8Array);
    }
    const isRebuilt = await this.ports.rebuild(replica, index, pieces);
    // Whether it is right now shows the next comparison.
    if (isRebuilt) ask({ type: CALL.rebuilt, group }).catch(() => undefined);
    return isRebuilt;
  }

  /** Starts to give a replica's present state to another node. */
  private send(replica: Replica | undefined, from: number, node: number) {
    if (replica === undefined || !replica.leading || !replica.whole || replica.applied < from) {
      throw new RaftKVError("NO_LEADER", "this node does not lead the group, or not so far yet");
    }
    if (this.sending.size >= REBUILDS_SENT_AT_ONCE_MAX) {
      throw new RaftKVError("OVERLOADED", "other replicas are being rebuilt from here");
    }
    const sending = ++this.sendings;
    const writer = replica.machine.snapshot();
    this.sending.set(sending, { node, writer, end: this.endLater(sending) });
    return { sending, index: replica.applied, preamble: replica.preamble() };
  }

  private piece(number: number, node: number): Uint8Array | null {
    const sending = this.sending.get(number);
    if (sending?.node !== node) throw new RaftKVError("NO_LEADER", "the sending of it has ended");
    sending.end();
    sending.end = this.endLater(number);
    const piece = sending.writer.next(SNAPSHOT_PIECE_BYTES_MAX);
    if (piece === null) this.endSending(number);
    return piece;
  }

  private endLater(number: number): Cancel {
    return this.ports.schedule(REBUILD_IDLE_MS_MAX, () => this.endSending(number));
  }

  private endSending(number: number): void {
    const sending = this.sending.get(number);
    this.sending.delete(number);
    sending?.end();
    sending?.writer.close();
  }
}
