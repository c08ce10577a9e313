/**
 * The ranges of shards led by this node that backups are being made of, on this node or another: each
 * is read as it was at one index of its log, piece by piece, while commands go on.
 */
import type { EntriesPiece } from "../../backup/ports.ts";
import { ENDED, within } from "../../client/within.ts";
import type { CallMessage, HostCalls } from "../../cluster/calls.ts";
import { RaftKVError } from "../../errors.ts";
import type { Host } from "../../host/host.ts";
import type { Replica } from "../../host/replica.ts";
import { BACKUP_CALL_MS, BACKUP_IDLE_MS_MAX, BACKUP_READINGS_MAX } from "../../limits.ts";
import { Refusal } from "../../machine/machine.ts";
import { describeKey } from "../../shard/describe.ts";
import { ShardMachine } from "../../shard/machine.ts";
import type { OwnedEntries } from "../../shard/owned-entries.ts";

/** Types of the calls between nodes. */
const CALL = { open: "backup.open", next: "backup.next", close: "backup.close" } as const;

/** A range that a node has begun to give. */
export interface BegunReading {
  readonly reading: number;
  readonly start: number;
  readonly end: number;
  readonly index: number;
  /** How many keys will come at most. */
  readonly keys: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

interface Reading {
  readonly replica: Replica;
  readonly entries: OwnedEntries;
  timer: NodeJS.Timeout;
}

/** See the head of this file. */
export class BackupReadings {
  private readonly host: Host;
  private readonly calls: HostCalls;
  private readonly node: number;
  private readonly open = new Map<number, Reading>();
  private begun = 0;

  constructor(host: Host, calls: HostCalls, node: number) {
    this.host = host;
    this.calls = calls;
    this.node = node;
    calls.handle(CALL.open, ({ group, from }) => this.beginHere(Number(group), Number(from)));
    calls.handle(CALL.next, ({ reading }) => this.nextHere(Number(reading)));
    calls.handle(CALL.close, ({ reading }) => this.end(Number(reading)));
  }

  /** Ends all readings. */
  stop(): void {
    for (const number of [...this.open.keys()]) this.end(number);
  }

  /** Has a node that leads a group begin. @throws `NO_LEADER`, `SHARD_BUSY`, `OVERLOADED` */
  async begin(node: number, group: number, from: number): Promise<BegunReading> {
    if (node === this.node) return this.beginHere(group, from);
    return (await this.ask(node, { type: CALL.open, group, from })) as BegunReading;
  }

  /** The next entries; `null` after the last. @throws `NO_LEADER` when the reading has ended */
  async next(node: number, reading: number): Promise<EntriesPiece | null> {
    if (node === this.node) return this.nextHere(reading);
    return (await this.ask(node, { type: CALL.next, reading })) as EntriesPiece | null;
  }

  /** Ends a reading early. */
  async close(node: number, reading: number): Promise<void> {
    if (node === this.node) this.end(reading);
    else await this.ask(node, { type: CALL.close, reading });
  }

  /** Calls another node. One that is of no more use itself leaves the shard to others. */
  private async ask(node: number, message: CallMessage): Promise<unknown> {
    try {
      return await this.calls.call(node, message, BACKUP_CALL_MS);
    } catch (error) {
      const isGone = error instanceof RaftKVError && error.action === "reopen";
      throw isGone ? notHere(error) : error;
    }
  }

  private async beginHere(group: number, from: number): Promise<BegunReading> {
    const replica = this.host.replica(group);
    if (replica === undefined || !replica.leading) throw notHere();
    // Without it a leader that was deposed and does not know it would miss what others took.
    const readable = await within(replica.readable(), BACKUP_CALL_MS, undefined);
    if (readable === ENDED) throw notHere();
    const { machine } = replica;
    if (this.host.replica(group) !== replica || !replica.whole) throw notHere();
    if (!(machine instanceof ShardMachine)) throw notHere();
    if (this.open.size >= BACKUP_READINGS_MAX) {
      throw new RaftKVError("OVERLOADED", "as many backups as may be are made of this node");
    }
    const entries = machine.ownedEntries(from);
    if (entries instanceof Refusal) throw new RaftKVError("SHARD_BUSY", entries.message);
    const reading = ++this.begun;
    this.open.set(reading, { replica, entries, timer: this.endLater(reading) });
    const { start, end, keys } = entries;
    return { reading, start, end, keys, index: replica.applied, at: Date.now() };
  }

  private nextHere(number: number): EntriesPiece | null {
    const reading = this.open.get(number);
    if (reading === undefined) throw ended();
    const { replica, entries } = reading;
    // What a replica that turns out to be wrong had before may have been wrong as well.
    if (this.host.replica(replica.group) !== replica || !replica.whole) {
      this.end(number);
      throw ended();
    }
    clearTimeout(reading.timer);
    reading.timer = this.endLater(number);
    const piece = entries.next();
    if (entries.tooLarge !== undefined) {
      this.end(number);
      throw tooLarge(replica.name, entries.tooLarge);
    }
    if (piece === null) this.end(number);
    return piece;
  }

  private endLater(number: number): NodeJS.Timeout {
    return setTimeout(() => this.end(number), BACKUP_IDLE_MS_MAX).unref();
  }

  private end(number: number): void {
    const reading = this.open.get(number);
    if (reading === undefined) return;
    this.open.delete(number);
    clearTimeout(reading.timer);
    reading.entries.close();
  }
}

function notHere(cause?: RaftKVError): RaftKVError {
  return new RaftKVError("NO_LEADER", "the node that was asked does not lead the shard", {
    ...{ cause, outcome: "not applied" },
  });
}

function ended(): RaftKVError {
  return new RaftKVError("NO_LEADER", "the reading of the shard has ended", {
    outcome: "not applied",
  });
}

function tooLarge(shard: string, { key, bytes }: { key: unknown; bytes: number }): RaftKVError {
  const message = `the value of key ${describeKey(key)} takes ${bytes} bytes, more than a restore can bring back: store it in parts`;
  return new RaftKVError("DATA_CLONE", message, { shard });
}
