/** Numbers and bigints to bytes and back: always the shortest form that holds the number. */

import { corrupted, type Reader, readLength, take } from "./reader.ts";
import { TAG, TINY_INTEGER_MAX } from "./tags.ts";
import { type Writer, writeByte, writeVarint } from "./writer.ts";

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);
const BITS_64 = 64n;
const MASK_64 = (1n << BITS_64) - 1n;

/** Writes a number with its tag; -0 and NaN stay what they are. */
export function writeNumber(w: Writer, value: number): void {
  const integer = value | 0;
  if (integer !== value || (integer === 0 && Object.is(value, -0))) {
    w.reserve(9);
    w.bytes[w.length++] = TAG.float64;
    writeFloat64(w, value);
    return;
  }
  w.reserve(5);
  const bytes = w.bytes;
  let at = w.length;
  if (integer >= 0 && integer <= TINY_INTEGER_MAX) {
    bytes[at++] = integer;
  } else if (integer >= -0x80 && integer <= 0x7f) {
    bytes[at++] = TAG.int8;
    bytes[at++] = integer;
  } else if (integer >= -0x8000 && integer <= 0x7fff) {
    bytes[at++] = TAG.int16;
    bytes[at++] = integer;
    bytes[at++] = integer >> 8;
  } else {
    bytes[at++] = TAG.int32;
    bytes[at++] = integer;
    bytes[at++] = integer >> 8;
    bytes[at++] = integer >> 16;
    bytes[at++] = integer >> 24;
  }
  w.length = at;
}

/** Writes the eight bytes of a double, without a tag. NaN has one form. */
export function writeFloat64(w: Writer, value: number): void {
  w.reserve(8);
  float[0] = Number.isNaN(value) ? Number.NaN : value;
  const bytes = w.bytes;
  let at = w.length;
  for (let i = 0; i < 8; i++) bytes[at++] = floatBytes[i] as number;
  w.length = at;
}

/** Reads eight bytes of a double. */
export function readFloat64(r: Reader): number {
  const at = take(r, 8);
  for (let i = 0; i < 8; i++) floatBytes[i] = r.bytes[at + i] as number;
  return float[0] as number;
}

/** Whether `readNumber` reads what starts with the tag. */
export function isNumberTag(tag: number): boolean {
  return tag <= TINY_INTEGER_MAX || (tag >= TAG.int8 && tag <= TAG.float64);
}

/** Reads the number behind its tag. */
export function readNumber(r: Reader, tag: number): number {
  if (tag <= TINY_INTEGER_MAX) return tag;
  if (tag === TAG.float64) return readFloat64(r);
  const bytes = r.bytes;
  if (tag === TAG.int8) return ((bytes[take(r, 1)] as number) << 24) >> 24;
  if (tag === TAG.int16) {
    const at = take(r, 2);
    return (((bytes[at] as number) | ((bytes[at + 1] as number) << 8)) << 16) >> 16;
  }
  const at = take(r, 4);
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** Writes a bigint of any size with its tag. */
export function writeBigint(w: Writer, value: bigint): void {
  writeByte(w, value < 0n ? TAG.negativeBigint : TAG.bigint);
  let rest = value < 0n ? -value : value;
  if (rest > MASK_64) {
    writeLargeMagnitude(w, rest);
    return;
  }
  w.reserve(9);
  const lengthAt = w.length++;
  while (rest > 0n) {
    w.bytes[w.length++] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  w.bytes[lengthAt] = w.length - lengthAt - 1;
}

// By way of hexadecimal text, which the engine makes in linear time.
function writeLargeMagnitude(w: Writer, magnitude: bigint): void {
  const digits = magnitude.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex").reverse();
  writeVarint(w, bytes.length);
  w.reserve(bytes.length);
  w.bytes.set(bytes, w.length);
  w.length += bytes.length;
}

/** Reads the bigint behind its tag. */
export function readBigint(r: Reader, tag: number): bigint {
  const length = readLength(r, 1);
  const at = take(r, length);
  const bytes = r.bytes;
  if (length > 0 && bytes[at + length - 1] === 0) throw corrupted("a bigint has leading zeros", at);
  let magnitude = 0n;
  if (length <= 8) {
    for (let i = length - 1; i >= 0; i--) {
      magnitude = (magnitude << 8n) | BigInt(bytes[at + i] as number);
    }
  } else {
    const digits = Buffer.from(bytes.subarray(at, at + length))
      .reverse()
      .toString("hex");
    magnitude = BigInt(`0x${digits}`);
  }
  if (tag === TAG.bigint) return magnitude;
  if (length === 0) throw corrupted("a bigint is minus zero", at);
  return -magnitude;
}
