/** A checksum of a shard's replicated state: equal on equal replicas, different else. */
import { Writer, writeValue } from "../codec/index.ts";
import { SNAPSHOT_PIECE_BYTES } from "../limits.ts";
import { writeEntry } from "./entry-bytes.ts";
import { originOf } from "./parking.ts";
import { headerOf } from "./snapshot.ts";
import type { ShardState } from "./state.ts";
import { scramble } from "./tally.ts";

/** The digest as 16 hexadecimal digits. Its cost is that of encoding the whole state. */
export function digestOf(state: ShardState): string {
  const writer = new Writer();
  const sums = { low: 0x9747b28c, high: 0x3c6ef372 };
  const { marks: _derived, ...header } = headerOf(state);
  writeValue(writer, header);
  for (const command of state.parking.list()) writeValue(writer, originOf(command));
  state.table.walk(0, Number.POSITIVE_INFINITY, (entry) => {
    writeEntry(writer, entry);
    if (writer.length >= SNAPSHOT_PIECE_BYTES) absorb(sums, writer);
    return true;
  });
  absorb(sums, writer);
  return hexadecimal(sums.high) + hexadecimal(sums.low);
}

function absorb(sums: { low: number; high: number }, writer: Writer): void {
  const { bytes, length } = writer;
  let { low, high } = sums;
  for (let at = 0; at < length; at++) {
    const byte = bytes[at] as number;
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high + byte, 0x9e3779b1) ^ (high >>> 15);
  }
  sums.low = scramble(low);
  sums.high = scramble(high ^ length);
  writer.reset();
}

function hexadecimal(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
