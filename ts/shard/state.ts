/**
 * The replicated state of one shard and the few ways in which an entry of it can change.
 *
 * Every change of an entry goes through this file, which keeps statistics, key index, the running
 * transfer's notes and the running views (snapshots, checksums) in step with the table.
 */
import type { RetainedResults } from "../machine/machine.ts";
import { type KeyIdentity, type KeyIndex, link, ShardEntry, unlink } from "./entry.ts";
import type { EntryImage } from "./entry-bytes.ts";
import { Garbage } from "./garbage.ts";
import type { ShardMachine } from "./machine.ts";
import { Parking } from "./parking.ts";
import type { Copying, EndedTransfer, HashRange, Receiving, ShardStatus } from "./status.ts";
import { HashTable } from "./table.ts";
import type { StateView } from "./view.ts";

/** The state of a shard, see the head of this file. */
export class ShardState {
  readonly keyspace: string;
  readonly group: number;
  readonly index: KeyIndex;
  readonly retained: RetainedResults;
  readonly garbage: Garbage;
  readonly parking = new Parking();
  table = new HashTable();
  status: ShardStatus;
  ended: EndedTransfer | null = null;
  /** The owned range; empty when nothing is owned. */
  start = 0;
  end = 0;
  /** Counts changes; moved on to the sender's when a range is opened, so versions only grow. */
  clock = 0;
  /** Keys of the owned range, and the sum of their sizes. */
  keys = 0;
  size = 0;
  /** Load counted on this node since it was last taken; not replicated. */
  load = 0;
  /** Number of the latest view. */
  epoch = 0;
  /** The views under way, in the order of their numbers. */
  private views: readonly StateView[] = [];
  /** The status again while it is `copying`: what every command looks at. */
  copying: Copying | null = null;
  private readonly owner: ShardMachine;

  constructor(
    owner: ShardMachine,
    keyspace: string,
    group: number,
    index: KeyIndex,
    range: HashRange | null,
    retained: RetainedResults,
  ) {
    this.owner = owner;
    this.keyspace = keyspace;
    this.group = group;
    this.index = index;
    this.retained = retained;
    this.garbage = new Garbage(index);
    this.status = range === null ? { type: "uninitialised" } : { type: "serving" };
    if (range !== null) this.own(range.start, range.end);
  }

  /** Sets the owned range. */
  own(start: number, end: number): void {
    this.start = start;
    this.end = end;
  }

  /** Sets the status. */
  become(status: ShardStatus): void {
    this.status = status;
    this.copying = status.type === "copying" ? status : null;
  }

  /**
   * The entry of a key whose hash is owned, a tombstone too. The index is asked first, which is
   * faster than the walk through the table: an entry there that is this shard's and has an owned
   * hash is the one, since dropped entries are cleared before a range is taken in.
   */
  find(hash: number, fingerprint: number, identity: KeyIdentity): ShardEntry | undefined {
    const first = this.index.get(identity);
    if (first !== undefined && first.shard === this.owner) return first;
    return this.table.find(hash, fingerprint, identity);
  }

  /** Creates an owned entry of a key that the table does not have. */
  create(
    key: unknown,
    identity: KeyIdentity,
    hash: number,
    fingerprint: number,
    value: unknown,
    size: number,
  ): void {
    const entry = new ShardEntry(this.owner, key, identity, hash, fingerprint, this.epoch);
    this.table.insert(entry);
    this.update(entry, value, size);
  }

  /** Gives an owned entry, which may be a tombstone, a value. */
  update(entry: ShardEntry, value: unknown, size: number): void {
    const copying = this.copyingOf(entry.hash);
    const before = entry.version;
    const existed = entry.value !== undefined;
    if (copying !== null && existed) copying.tally.remove(entry);
    this.size += size - entry.size;
    entry.value = value;
    entry.size = size;
    entry.version = ++this.clock;
    if (!existed) {
      this.keys++;
      link(this.index, entry);
    }
    if (copying === null) return;
    // Only in a range in transfer is there an entry with a version but no value.
    if (!existed && before > 0) copying.changes.tombstoneCount--;
    copying.tally.add(entry);
    copying.changes.note(entry, before);
  }

  /** Removes an owned entry that has a value; a range in transfer keeps a tombstone of it. */
  remove(entry: ShardEntry): void {
    const copying = this.copyingOf(entry.hash);
    if (copying !== null) copying.tally.remove(entry);
    this.keys--;
    this.size = this.keys === 0 ? 0 : this.size - entry.size;
    unlink(this.index, entry);
    this.clock++;
    if (copying === null) {
      this.table.remove(entry);
      return;
    }
    const before = entry.version;
    entry.value = undefined;
    entry.size = 0;
    entry.version = this.clock;
    copying.changes.tombstoneCount++;
    copying.changes.note(entry, before);
  }

  /** Takes an entry into the buffer of a receiver, unless the buffer knows a later version. */
  buffer(image: EntryImage, receiving: Receiving): void {
    const { hash, fingerprint, identity, version, value, size, key } = image;
    const present = this.table.find(hash, fingerprint, identity);
    if (present !== undefined && present.version >= version) return;
    if (present !== undefined) this.protect(present);
    const entry =
      present ?? new ShardEntry(this.owner, key, identity, hash, fingerprint, this.epoch);
    const existed = entry.value !== undefined;
    if (existed) receiving.tally.remove(entry);
    entry.value = value;
    entry.size = size;
    entry.version = version;
    if (present === undefined) this.table.insert(entry);
    if (value !== undefined) receiving.tally.add(entry);
    else receiving.tombstones.add(entry);
    if (!existed && value !== undefined) link(this.index, entry);
    else if (existed && value === undefined) unlink(this.index, entry);
  }

  /** Puts an entry back that a snapshot holds, wherever it belongs. */
  place(image: EntryImage): ShardEntry {
    const { hash, fingerprint, identity, version, value, size, key } = image;
    const entry = new ShardEntry(this.owner, key, identity, hash, fingerprint, this.epoch);
    entry.value = value;
    entry.size = size;
    entry.version = version;
    this.table.insert(entry);
    if (value !== undefined) link(this.index, entry);
    return entry;
  }

  /** Takes a tombstone out of the table, unless it has a value again. */
  bury(entry: ShardEntry): void {
    if (entry.value !== undefined) return;
    this.protect(entry);
    this.table.remove(entry);
  }

  /** Drops all entries of a range; their places in the key index are cleared bit by bit. */
  drop(start: number, end: number): void {
    const cut = this.table.cut(start, end);
    for (const view of this.views) view.keep(cut);
    this.garbage.add(cut);
  }

  /** Must be called before an entry changes or leaves the table. */
  protect(entry: ShardEntry): void {
    if (this.views.length > 0 && entry.epoch !== this.epoch) this.show(entry, this.epoch);
  }

  /** Has the views up to this number take an entry that do not have it yet. */
  show(entry: ShardEntry, number: number): void {
    const { epoch } = entry;
    entry.epoch = number;
    for (const view of this.views) {
      if (view.number > epoch && view.number <= number) view.take(entry);
    }
  }

  /** A view begins; returns its number. */
  beginView(view: StateView): number {
    this.views = [...this.views, view];
    return ++this.epoch;
  }

  /** A view ends. */
  endView(view: StateView): void {
    this.views = this.views.filter((other) => other !== view);
  }

  private copyingOf(hash: number): Copying | null {
    const { copying } = this;
    return copying !== null && hash >= copying.start && hash < copying.end ? copying : null;
  }
}
