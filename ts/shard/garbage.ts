/**
 * Entries that were dropped, on their way out of the key index: a few with each command, because
 * clearing a hundred thousand at once would hold everything else up for tens of milliseconds.
 *
 * It is not part of the replicated state: `findEntry` never gives a dropped entry, because its shard
 * does not own it. A shard that is about to take a range in clears all first to keep it so.
 */
import { type KeyIndex, type ShardEntry, unlink } from "./entry.ts";
import type { HashTable } from "./table.ts";

/** Dropped entries, see the head of this file. */
export class Garbage {
  private readonly index: KeyIndex;
  private readonly tables: { table: HashTable; cursor: number }[] = [];

  constructor(index: KeyIndex) {
    this.index = index;
  }

  /** Is nothing left to clear? */
  get isEmpty(): boolean {
    return this.tables.length === 0;
  }

  /** Takes over a table that will not change any more. */
  add(table: HashTable): void {
    if (table.count > 0) this.tables.push({ table, cursor: 0 });
  }

  /** Clears about `limit` entries, or all of them. */
  clear(limit = Number.POSITIVE_INFINITY): void {
    let cleared = 0;
    while (cleared < limit) {
      const first = this.tables[0];
      if (first === undefined) return;
      const entries: ShardEntry[] = [];
      const ended = first.table.walk(first.cursor, Number.POSITIVE_INFINITY, (entry) => {
        const last = entries[entries.length - 1];
        // A cursor is a hash, so entries of one hash stay together.
        if (last !== undefined && entries.length >= limit && last.hash !== entry.hash) return false;
        entries.push(entry);
        return true;
      });
      for (const entry of entries) unlink(this.index, entry);
      cleared += entries.length;
      const last = entries[entries.length - 1];
      if (ended || last === undefined) this.tables.shift();
      else first.cursor = last.hash + 1;
    }
  }
}
