/**
 * Text to bytes and back. The form follows from the characters alone, never from how the engine
 * happens to hold the string, so that equal texts have equal bytes.
 */

import { corrupted, type Reader, readLength, take } from "./reader.ts";
import { SHORT_TEXT, SHORT_TEXT_MAX, TAG } from "./tags.ts";
import { type Writer, writeByte, writeVarint } from "./writer.ts";

// On a string that the engine holds in single bytes this fails at once, without a scan.
const ABOVE_LATIN1 = /[\u0100-\uffff]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** From this length on the native copy is faster than a loop. */
const NATIVE_FROM = 48;
const { fromCharCode } = String;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Writes a text with its tag. */
export function writeText(w: Writer, text: string): void {
  const length = text.length;
  if (length > SHORT_TEXT_MAX) {
    writeLongText(w, text);
    return;
  }
  w.reserve(length + 1);
  const bytes = w.bytes;
  const start = w.length;
  bytes[start] = SHORT_TEXT | length;
  let at = start + 1;
  if (length >= NATIVE_FROM) {
    if (ABOVE_LATIN1.test(text)) {
      writeWideText(w, text);
      return;
    }
    w.text.write(text, at, length, "latin1");
    w.length = at + length;
    return;
  }
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) {
      writeWideText(w, text);
      return;
    }
    bytes[at++] = code;
  }
  w.length = at;
}

function writeLongText(w: Writer, text: string): void {
  if (ABOVE_LATIN1.test(text)) {
    writeWideText(w, text);
    return;
  }
  writeByte(w, TAG.latin1);
  writeVarint(w, text.length);
  w.reserve(text.length);
  w.text.write(text, w.length, text.length, "latin1");
  w.length += text.length;
}

function writeWideText(w: Writer, text: string): void {
  if (LONE_SURROGATE.test(text)) {
    writeByte(w, TAG.utf16);
    writeVarint(w, text.length);
    w.reserve(text.length * 2);
    w.text.write(text, w.length, text.length * 2, "utf16le");
    w.length += text.length * 2;
    return;
  }
  const length = Buffer.byteLength(text, "utf8");
  writeByte(w, TAG.utf8);
  writeVarint(w, length);
  w.reserve(length);
  w.text.write(text, w.length, length, "utf8");
  w.length += length;
}

/** Whether `readText` reads what starts with the tag. */
export function isTextTag(tag: number): boolean {
  return tag >= SHORT_TEXT || (tag >= TAG.latin1 && tag <= TAG.utf16);
}

/** Reads the text behind its tag. */
export function readText(r: Reader, tag: number): string {
  if (tag >= SHORT_TEXT) {
    const length = tag & SHORT_TEXT_MAX;
    const at = r.at;
    const end = at + length;
    if (end > r.bytes.length) throw corrupted("a text ends too early", at);
    r.at = end;
    return latin1(r.bytes, at, length);
  }
  if (tag === TAG.latin1) {
    const length = readLength(r, 1);
    const at = take(r, length);
    return buffer(r.bytes, at, length).toString("latin1");
  }
  if (tag === TAG.utf8) {
    const length = readLength(r, 1);
    const at = take(r, length);
    try {
      return strictUtf8.decode(r.bytes.subarray(at, at + length));
    } catch (error) {
      throw corrupted("a text is not UTF-8", at, error);
    }
  }
  if (tag === TAG.utf16) {
    const length = readLength(r, 2) * 2;
    const at = take(r, length);
    return buffer(r.bytes, at, length).toString("utf16le");
  }
  throw corrupted("a text is missing", r.at);
}

function buffer(bytes: Uint8Array, at: number, length: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length);
}

// One call with all characters makes a flat string in one step; it is several times faster than
// joining characters or crossing into native code.
function latin1(b: Uint8Array, at: number, length: number): string {
  switch (length) {
    case 0:
      return "";
    case 1:
      return fromCharCode(b[at] as number);
    case 2:
      return fromCharCode(b[at] as number, b[at + 1] as number);
    case 3:
      return fromCharCode(b[at] as number, b[at + 1] as number, b[at + 2] as number);
    case 4:
      return fromCharCode(
        b[at] as number,
        b[at + 1] as number,
        b[at + 2] as number,
        b[at + 3] as number,
      );
    default:
      return length < 17 ? latin1Middle(b, at, length) : buffer(b, at, length).toString("latin1");
  }
}

function latin1Middle(b: Uint8Array, at: number, length: number): string {
  switch (length) {
    case 5:
      return fromCharCode(
        b[at] as number,
        b[at + 1] as number,
        b[at + 2] as number,
        b[at + 3] as number,
        b[at + 4] as number,
      );
    case 6:
      return fromCharCode(
        b[at] as number,
        b[at + 1] as number,
        b[at + 2] as number,
        b[at + 3] as number,
        b[at + 4] as number,
        b[at + 5] as number,
      );
    case 7:
      return fromCharCode(
        b[at] as number,
        b[at + 1] as number,
        b[at + 2] as number,
        b[at + 3] as number,
        b[at + 4] as number,
        b[at + 5] as number,
        b[at + 6] as number,
      );
    case 8:
      return fromCharCode(
        b[at] as number,
        b[at + 1] as number,
        b[at + 2] as number,
        b[at + 3] as number,
        b[at + 4] as number,
        b[at + 5] as number,
        b[at + 6] as number,
        b[at + 7] as number,
      );
    case 9:
      return fromCharCode(
        b[at] as number,
        b[at + 1] as number,
        b[at + 2] as number,
        b[at + 3] as number,
        b[at + 4] as number,
        b[at + 5] as number,
        b[at + 6] as number,
        b[at + 7] as number,
        b[at + 8] as number,
      );
    default:
      // Below 13 characters the parts are joined flat; above, the engine joins them when needed.
      return latin1Middle(b, at, 8) + latin1(b, at + 8, length - 8);
  }
}

const NAMES_KEPT = 512;
const NAME_LENGTH_KEPT = 24;
const names: string[] = new Array<string>(NAMES_KEPT).fill("");

/** Reads the name of a property; short names that come again and again are made only once. */
export function readPropertyName(r: Reader, tag: number): string {
  const length = tag & SHORT_TEXT_MAX;
  const bytes = r.bytes;
  const at = r.at;
  if (tag <= SHORT_TEXT || length > NAME_LENGTH_KEPT || at + length > bytes.length) {
    return readText(r, tag);
  }
  const first = bytes[at] as number;
  const last = bytes[at + length - 1] as number;
  const slot = (length * 31 + first * 7 + last * 13) & (NAMES_KEPT - 1);
  const kept = names[slot] as string;
  if (kept.length === length) {
    let i = 0;
    while (i < length && kept.charCodeAt(i) === bytes[at + i]) i++;
    if (i === length) {
      r.at = at + length;
      return kept;
    }
  }
  const name = readText(r, tag);
  names[slot] = name;
  return name;
}
