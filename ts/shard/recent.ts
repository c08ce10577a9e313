/**
 * The entries that commands touched last, found again by their hash: a command on such a key needs
 * neither its key decoded nor a look-up by it, which costs a hash of its own.
 *
 * An entry has two places, which others have too: entries push each other out, and what is not here
 * is looked up as usual. Whoever takes an entry out of the table takes it out of here as well.
 */
import { RECENT_ENTRIES_MAX } from "../limits.ts";
import type { ShardEntry } from "./entry.ts";

const SLOTS_MIN = 16;

/** See the head of this file. */
export class RecentEntries {
  private slots: (ShardEntry | undefined)[] = slotsOf(SLOTS_MIN);
  private mask = SLOTS_MIN - 1;

  /** The entry with these hashes, if it is here. Another key may have the same hashes. */
  find(hash: number, fingerprint: number): ShardEntry | undefined {
    const { slots } = this;
    const slot = fingerprint & this.mask;
    const first = slots[slot];
    if (first !== undefined && first.fingerprint === fingerprint && first.hash === hash) {
      return first;
    }
    const second = slots[slot ^ 1];
    if (second !== undefined && second.fingerprint === fingerprint && second.hash === hash) {
      return second;
    }
    return undefined;
  }

  /** Keeps an entry that is not here, of a table with `count` entries. */
  add(entry: ShardEntry, count: number): void {
    const { length } = this.slots;
    // With room for twice as many most of them stay; the next commands fill the new places.
    if (count * 2 > length && length < RECENT_ENTRIES_MAX) this.clear(length * 2);
    const { slots } = this;
    const slot = entry.fingerprint & this.mask;
    const present = slots[slot];
    if (present !== undefined) slots[slot ^ 1] = present;
    slots[slot] = entry;
  }

  /** Forgets an entry, if it is here. */
  delete(entry: ShardEntry): void {
    const { slots } = this;
    const slot = entry.fingerprint & this.mask;
    if (slots[slot] === entry) slots[slot] = undefined;
    else if (slots[slot ^ 1] === entry) slots[slot ^ 1] = undefined;
  }

  /** Forgets everything. */
  clear(slots: number = SLOTS_MIN): void {
    this.slots = slotsOf(slots);
    this.mask = slots - 1;
  }
}

function slotsOf(count: number): (ShardEntry | undefined)[] {
  return new Array<ShardEntry | undefined>(count).fill(undefined);
}
