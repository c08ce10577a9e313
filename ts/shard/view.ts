/**
 * A view of a shard's entries at the moment when it began, visited in slices while commands go on:
 * what snapshots and checksums are made from. Several may be under way.
 *
 * Each entry of that moment is visited once: when its turn comes, or just before it changes. Its
 * `epoch` is the number of the latest view that has it; an entry that is made later carries the
 * number of the latest view, and so is in none that runs. A younger view that comes to an entry
 * first has the older ones take it as well, so that the one number tells for all of them.
 */
import type { ShardEntry } from "./entry.ts";
import type { ShardState } from "./state.ts";
import type { HashTable } from "./table.ts";

/** See the head of this file. */
export class StateView {
  readonly number: number;
  private readonly state: ShardState;
  private readonly visitor: (entry: ShardEntry) => void;
  private readonly sources: { readonly table: HashTable; cursor: number }[];

  /** `visitor` is called for each entry. */
  constructor(state: ShardState, visitor: (entry: ShardEntry) => void) {
    this.state = state;
    this.visitor = visitor;
    this.sources = [{ table: state.table, cursor: 0 }];
    this.number = state.beginView(this);
  }

  /** Takes an entry as it is now. */
  take(entry: ShardEntry): void {
    this.visitor(entry);
  }

  /** The entries were cut out of the table and will not change any more. */
  keep(cut: HashTable): void {
    if (cut.count > 0) this.sources.push({ table: cut, cursor: 0 });
  }

  /** Visits entries until `isEnough` says so; `false` when none is left. */
  walk(isEnough: () => boolean): boolean {
    const source = this.sources[0];
    if (source === undefined) return false;
    const wasLast = source.table.walk(source.cursor, Number.POSITIVE_INFINITY, (entry) => {
      // Visited entries of the same hash are skipped by their epoch when the walk goes on.
      source.cursor = entry.hash;
      if (isEnough()) return false;
      if (entry.epoch < this.number) this.state.show(entry, this.number);
      return true;
    });
    if (wasLast) this.sources.shift();
    return true;
  }

  /** Ends the view. */
  close(): void {
    this.state.endView(this);
  }
}
