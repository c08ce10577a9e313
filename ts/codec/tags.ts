/**
 * The first byte of everything encoded. Keys use a part of the tags and the same layout as values.
 *
 * These numbers and the layouts behind them are in logs and snapshots, and keys are hashed by their
 * bytes: nothing here ever changes its meaning. New tags may be added.
 *
 * `0x00`..`0x3f` are the integers 0 to 63, `0x80`..`0xff` a text of 0 to 127 Latin-1 characters.
 */

export const TAG = {
  undefined: 0x40,
  null: 0x41,
  false: 0x42,
  true: 0x43,
  /** Signed little-endian integers of 1, 2 and 4 bytes: the shortest that holds the number. */
  int8: 0x44,
  int16: 0x45,
  int32: 0x46,
  /** Little-endian IEEE 754 double: every number that is no 32-bit integer, and -0. */
  float64: 0x47,
  /** Length in bytes, then the magnitude, least significant byte first, no zero byte last. */
  bigint: 0x48,
  negativeBigint: 0x49,
  /** Length, then one byte a character: a text of 128 characters or more, all below U+0100. */
  latin1: 0x4a,
  /** Length in bytes, then UTF-8: a well-formed text with a character above U+00FF. */
  utf8: 0x4b,
  /** Length in code units, then little-endian UTF-16: any other text. */
  utf16: 0x4c,
  /** Length, then the bytes of a Uint8Array. */
  bytes: 0x4d,
  /** Count, then the items. */
  array: 0x4e,
  /** Length, then names and values to `end`: an array with holes or with named properties. */
  looseArray: 0x4f,
  /** Names and values to `end`. */
  object: 0x50,
  end: 0x51,
  /** Float64: milliseconds since 1970. */
  date: 0x52,
  /** Count, then keys and values in turn. */
  map: 0x53,
  /** Count, then the members. */
  set: 0x54,
  /** Length, then bytes. */
  arrayBuffer: 0x55,
  /** Kind of view, length in bytes, then bytes. */
  view: 0x56,
  /** Kind of error, then message, stack and cause; `undefined` (cause: `end`) where it has none. */
  error: 0x57,
  /** Source and flags. */
  regexp: 0x58,
  /** The primitive inside. */
  boxed: 0x59,
  /** Number of an object that came earlier, in the order in which they start. */
  reference: 0x5a,
  /** Comes first, and only then, when references follow. */
  referencesFollow: 0x5b,
} as const;

/** The largest integer that is its own tag. */
export const TINY_INTEGER_MAX = 0x3f;
/** The bit that marks a short text; the low bits are its length. */
export const SHORT_TEXT = 0x80;
/** The longest text that is short. */
export const SHORT_TEXT_MAX = 0x7f;
