/** A position in bytes that the codecs read from; every read checks that the bytes are there. */

import { RaftKVError } from "../errors.ts";

const NO_BYTES = new Uint8Array(0);

/** Reads go from `at` onwards. */
export class Reader {
  /** What is read from. */
  bytes: Uint8Array;
  /** Where the next read starts. */
  at: number;

  constructor(bytes: Uint8Array = NO_BYTES, at: number = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Goes on with other bytes. */
  reset(bytes: Uint8Array, at: number = 0): void {
    this.bytes = bytes;
    this.at = at;
  }
}

/** The error for bytes that no writer of this codec has written. */
export function corrupted(what: string, at: number, cause?: unknown): RaftKVError {
  return new RaftKVError(
    "DATA_CORRUPTED",
    `Encoded data is damaged: ${what} at byte ${at}. Keep the data directory for an examination; ` +
      "a replica that is rebuilt from another node is whole again.",
    { cause },
  );
}

/** Steps over `count` bytes and returns where they start. */
export function take(r: Reader, count: number): number {
  const at = r.at;
  if (count > r.bytes.length - at) throw corrupted("it ends too early", at);
  r.at = at + count;
  return at;
}

/** Reads a byte. */
export function readByte(r: Reader): number {
  const byte = r.bytes[r.at];
  if (byte === undefined) throw corrupted("it ends too early", r.at);
  r.at++;
  return byte;
}

/** Reads what `writeVarint` wrote. */
export function readVarint(r: Reader): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = readByte(r);
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) {
      if (value > 0xffff_ffff) break;
      return value;
    }
  }
  throw corrupted("a length is impossible", r.at);
}

/** Reads a length in units of `unit` bytes that have to follow, and steps over none of them. */
export function readLength(r: Reader, unit: number): number {
  const length = readVarint(r);
  if (length * unit > r.bytes.length - r.at) throw corrupted("a length is impossible", r.at);
  return length;
}
