/**
 * Puts entries of a backup into a shard. Which of them the shard owns is decided here, when the
 * command is applied: the others have to be sent to whoever owns them by then.
 *
 * A command takes effect as a whole or not at all, and repeating it changes nothing: a key that has
 * the same value and size already is left as it is.
 */
import { Reader, Writer, writeComparableValue } from "../codec/index.ts";
import { isAmount } from "./command.ts";
import type { ShardEntry } from "./entry.ts";
import { type EntryImage, readEntry } from "./entry-bytes.ts";
import type { ShardCommand } from "./requests.ts";
import type { ShardState } from "./state.ts";
import { rejected, type TransferReply } from "./transfer.ts";

/** See the head of this file. */
export function place(
  state: ShardState,
  { entries, overwrite }: Extract<ShardCommand, { type: "place" }>,
): TransferReply {
  const { start, end } = state;
  const taken: EntryImage[] = [];
  let equal = 0;
  let differing = 0;
  let example: unknown = null;
  const reader = new Reader(entries);
  while (reader.at < entries.length) {
    const image = readEntry(reader);
    if (!isEntry(image)) return rejected(state, "an entry of a backup is none");
    if (image.hash < start || image.hash >= end) continue;
    const present = find(state, image);
    if (present !== undefined && isSame(present, image)) {
      equal++;
      continue;
    }
    if (present?.value !== undefined && differing++ === 0) example = image.key;
    taken.push(image);
  }
  const isPlaced = differing === 0 || overwrite;
  if (isPlaced) for (const image of taken) put(state, image);
  const placed = isPlaced ? taken.length : 0;
  return { type: "placed", start, end, placed, equal, differing, example };
}

function put(state: ShardState, image: EntryImage): void {
  const { key, identity, hash, fingerprint, value, size } = image;
  const present = find(state, image);
  if (present === undefined) {
    state.create(key, identity, hash, fingerprint | 0, value, size);
  } else {
    state.protect(present);
    state.update(present, value, size);
  }
}

function find(state: ShardState, { hash, fingerprint, identity }: EntryImage) {
  return state.find(hash, fingerprint | 0, identity);
}

/** Are value and size the same, by what replicas compare? */
function isSame(present: ShardEntry, image: EntryImage): boolean {
  if (present.value === undefined || present.size !== image.size) return false;
  return comparable(present.value).equals(comparable(image.value));
}

function comparable(value: unknown): Buffer {
  const writer = new Writer();
  writeComparableValue(writer, value);
  return writer.text.subarray(0, writer.length);
}

function isEntry({ hash, fingerprint, size, value }: EntryImage): boolean {
  const isWhole = Number.isInteger(hash) && Number.isInteger(fingerprint);
  return isWhole && isAmount(size) && value !== undefined;
}
