/** A buffer of events, and how their fields are read. */

const TWO_32 = 0x1_0000_0000;

/** A buffer that the engine gave; `at` is the word of the event that comes next. */
export interface Drained {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly floats: DataView;
  at: number;
}

/** The events of a buffer. */
export function drained(bytes: Uint8Array): Drained {
  const { buffer, byteOffset, length } = bytes;
  return {
    bytes,
    words: new Int32Array(buffer, byteOffset, length >> 2),
    floats: new DataView(buffer, byteOffset, length),
    at: 0,
  };
}

/** Reads a 64-bit number below 2^53 at a word. */
export function readLong(words: Int32Array, at: number): number {
  return (words[at + 1] as number) * TWO_32 + ((words[at] as number) >>> 0);
}

/** Bytes that stand behind a word with their length; they belong to the buffer. */
export function readBytes(from: Drained, at: number): Uint8Array {
  const start = (at + 1) * 4;
  return from.bytes.subarray(start, start + (from.words[at] as number));
}

/** A UTF-8 text that stands behind a word with its length. */
export function readUtf8(from: Drained, at: number): string {
  return new TextDecoder().decode(readBytes(from, at));
}
