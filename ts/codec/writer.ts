/** A growing buffer that the codecs write into; it keeps its memory between uses. */

import { RaftKVError } from "../errors.ts";
import { WRITER_BYTES_MAX } from "../limits.ts";

const INITIAL_BYTES = 1024;

/** What is written lies in `bytes` from 0 to `length`. */
export class Writer {
  /** The memory; replaced when it grows, so never kept across a write. A multiple of 4 long. */
  bytes: Uint8Array;
  /** The same memory as 32-bit words; replaced along with `bytes`. */
  words: Int32Array;
  /** The same memory as a Buffer, whose methods copy text natively; replaced along with `bytes`. */
  text: Buffer;
  /** Number of bytes written. */
  length: number;

  constructor(initialBytes: number = INITIAL_BYTES) {
    const memory = new ArrayBuffer(Math.max(64, (initialBytes + 3) & ~3));
    this.bytes = new Uint8Array(memory);
    this.words = new Int32Array(memory);
    this.text = Buffer.from(memory);
    this.length = 0;
  }

  /** Makes room for `count` more bytes behind `length`, keeping what was written. */
  reserve(count: number): void {
    if (this.length + count > this.bytes.length) this.grow(count);
  }

  /** Forgets what was written; the memory stays. */
  reset(): void {
    this.length = 0;
  }

  /** A copy of what was written, of exactly its length. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private grow(count: number): void {
    const needed = this.length + count;
    if (needed > WRITER_BYTES_MAX) {
      throw new RaftKVError(
        "DATA_CLONE",
        `The value is too large: encoded it exceeds ${WRITER_BYTES_MAX} bytes. Store it in parts.`,
      );
    }
    const size = Math.min(WRITER_BYTES_MAX, Math.max(needed, this.bytes.length * 2));
    const memory = new ArrayBuffer((size + 3) & ~3);
    const bytes = new Uint8Array(memory);
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.words = new Int32Array(memory);
    this.text = Buffer.from(memory);
  }
}

/** Writes an unsigned 32-bit number in one to five bytes, seven bits each, low bits first. */
export function writeVarint(w: Writer, value: number): void {
  w.reserve(5);
  const bytes = w.bytes;
  let at = w.length;
  let rest = value;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  w.length = at;
}

/** Writes a byte. */
export function writeByte(w: Writer, value: number): void {
  w.reserve(1);
  w.bytes[w.length++] = value;
}

/** Writes bytes as they are. */
export function writeBytes(w: Writer, bytes: Uint8Array): void {
  w.reserve(bytes.length);
  w.bytes.set(bytes, w.length);
  w.length += bytes.length;
}
