/**
 * What a sender notes while a range is copied: the entries changed since, in version order.
 *
 * An entry that changes again leaves a stale note behind, known by its old version; notes are
 * compacted when more than half are stale, so memory stays within twice the changed keys.
 */
import type { ShardEntry } from "./entry.ts";

/** Stale notes that are not worth a compaction. */
const STALE_NOTES_KEPT = 1024;

/** The changed entries of a range, see the head of this file. */
export class ChangeLog {
  /** Entries with a higher version are in the log. */
  readonly since: number;
  private versions: number[] = [];
  private entries: ShardEntry[] = [];
  private distinct = 0;
  /** How many of the noted entries are tombstones now. */
  tombstoneCount = 0;

  constructor(since: number) {
    this.since = since;
  }

  /** Notes a change. `before` is the entry's version before it. */
  note(entry: ShardEntry, before: number): void {
    if (before <= this.since) this.distinct++;
    this.versions.push(entry.version);
    this.entries.push(entry);
    if (this.versions.length > 2 * this.distinct + STALE_NOTES_KEPT) this.compact();
  }

  /** How many entries with a version above `after` there are at most. */
  left(after: number): number {
    return Math.min(this.versions.length - this.firstAbove(after), this.distinct);
  }

  /** Visits entries with a version above `after`, in version order, until `visit` says `false`. */
  walk(after: number, visit: (entry: ShardEntry) => boolean): void {
    for (let at = this.firstAbove(after); at < this.versions.length; at++) {
      const entry = this.entries[at] as ShardEntry;
      if (entry.version === this.versions[at] && !visit(entry)) return;
    }
  }

  /** The tombstones among the changed entries. */
  tombstones(): ShardEntry[] {
    const found: ShardEntry[] = [];
    this.walk(this.since, (entry) => {
      if (entry.value === undefined) found.push(entry);
      return true;
    });
    return found;
  }

  private firstAbove(after: number): number {
    let low = 0;
    let high = this.versions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.versions[middle] as number) > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private compact(): void {
    const entries: ShardEntry[] = [];
    this.walk(this.since, (entry) => {
      entries.push(entry);
      return true;
    });
    this.entries = entries;
    this.versions = entries.map(({ version }) => version);
  }
}
