/**
 * Writes the entries that a shard owns, from a hash on, as they are at the moment when this begins,
 * in pieces, while commands go on and ranges come and go: what a backup is made from. Frozen and
 * buffered entries belong to another shard's answer and are left out, as are tombstones.
 *
 * What changes before its turn is written first and kept until it is asked for: at most the shard
 * once more, in its encoded form.
 */
import { Writer } from "../codec/index.ts";
import { BACKUP_PIECE_BYTES, PLACED_ENTRY_BYTES_MAX } from "../limits.ts";
import type { ShardEntry } from "./entry.ts";
import { writeEntry } from "./entry-bytes.ts";
import type { ShardState } from "./state.ts";
import type { HashRange } from "./status.ts";
import { StateView } from "./view.ts";

/** Some of the entries, one behind the other. */
export interface EntriesPiece {
  readonly count: number;
  readonly entries: Uint8Array;
}

/** See the head of this file. */
export class OwnedEntries implements HashRange {
  readonly start: number;
  readonly end: number;
  /** Keys of the whole shard when this began: how many will come at most. */
  readonly keys: number;
  private readonly pieceBytes: number;
  private readonly view: StateView;
  private readonly writer = new Writer();
  /** What was written before its turn and does not fit the piece being written. */
  private readonly ready: EntriesPiece[] = [];
  private count = 0;
  private ended = false;
  /** The key of an entry that takes more bytes than a command can bring back; it is left out. */
  tooLarge: { readonly key: unknown; readonly bytes: number } | undefined;

  /** `from` is owned; a piece is of about so many bytes. */
  constructor(state: ShardState, from: number, pieceBytes: number = BACKUP_PIECE_BYTES) {
    this.pieceBytes = pieceBytes;
    this.start = from;
    this.end = state.end;
    this.keys = state.keys;
    this.view = new StateView(state, (entry) => this.take(entry));
  }

  /** The next piece; `null` when all was given. */
  next(): EntriesPiece | null {
    const isFull = () => this.ready.length > 0;
    while (!this.ended && !isFull()) {
      if (!this.view.walk(isFull)) this.close();
    }
    return this.ready.shift() ?? (this.count > 0 ? this.cut() : null);
  }

  /** Watches over changes no longer. */
  close(): void {
    this.ended = true;
    this.view.close();
  }

  private take(entry: ShardEntry): void {
    if (entry.hash < this.start || entry.hash >= this.end || entry.value === undefined) return;
    const before = this.writer.length;
    writeEntry(this.writer, entry);
    const bytes = this.writer.length - before;
    if (bytes > PLACED_ENTRY_BYTES_MAX) {
      this.tooLarge ??= { key: entry.key, bytes };
      this.writer.length = before;
      return;
    }
    this.count++;
    // What changes may come at any time, and no piece may grow by it.
    if (this.writer.length >= this.pieceBytes) this.ready.push(this.cut());
  }

  private cut(): EntriesPiece {
    const piece = { count: this.count, entries: this.writer.copy() };
    this.writer.reset();
    this.count = 0;
    return piece;
  }
}
