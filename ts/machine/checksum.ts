/**
 * Checksums by which replicas compare their states: 64 bits, the sum of a hash of each part, so that
 * they do not depend on the order in which the parts were met.
 */
import { writeComparableValue } from "../codec/value.ts";
import { Writer } from "../codec/writer.ts";
import { CHECKSUM_MEMORY_KEPT_BYTES } from "../limits.ts";

/** A running sum, see the head of this file. */
export class Checksum {
  /** What a part is written into, from its beginning. */
  writer = new Writer();
  private low = 0;
  private high = 0;

  /** Adds what was written since the last part, and empties the writer. */
  addWritten(): void {
    const { writer } = this;
    const { length } = writer;
    // The last word is whole.
    writer.reserve(4);
    writer.bytes.fill(0, length, length + 3);
    const { words } = writer;
    let low = 0x9747b28c;
    let high = 0x3c6ef372;
    for (let at = 0; at < length; at += 4) {
      const word = words[at >> 2] as number;
      low = Math.imul(low ^ word, 0x85ebca6b);
      low ^= low >>> 15;
      high = Math.imul(((high << 13) | (high >>> 19)) + word, 0x9e3779b1);
    }
    this.low = (this.low + scramble(low ^ length)) | 0;
    this.high = (this.high + scramble(high + length)) | 0;
    if (writer.bytes.length > CHECKSUM_MEMORY_KEPT_BYTES) this.writer = new Writer();
    else writer.reset();
  }

  /** Adds a value as a part. */
  addValue(value: unknown): void {
    writeComparableValue(this.writer, value);
    this.addWritten();
  }

  /** The sum so far as 16 hexadecimal digits. */
  toString(): string {
    return hexadecimal(this.high) + hexadecimal(this.low);
  }
}

/** The finaliser of MurmurHash3. */
export function scramble(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function hexadecimal(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
