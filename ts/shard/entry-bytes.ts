/**
 * Entries as bytes: the same form in snapshots and transfers, nearly the same in checksums.
 *
 * An entry is: hash, fingerprint, version, size, key, and its value; a tombstone has no value, and
 * `undefined` stands in its place, which no entry can have as its value.
 */
import {
  keyIdentity,
  type Reader,
  readKey,
  readValue,
  type Writer,
  writeComparableValue,
  writeKey,
  writeValue,
  writeValueLenient,
} from "../codec/index.ts";
import type { KeyIdentity, ShardEntry } from "./entry.ts";

/** An entry out of bytes. */
export interface EntryImage {
  readonly hash: number;
  readonly fingerprint: number;
  readonly version: number;
  readonly size: number;
  readonly key: unknown;
  readonly identity: KeyIdentity;
  readonly value: unknown;
}

/** What is written of an entry. */
export type WrittenEntry = Pick<
  ShardEntry,
  "hash" | "fingerprint" | "version" | "size" | "key" | "value"
>;

/** Appends an entry. */
export function writeEntry(writer: Writer, entry: WrittenEntry): void {
  writeHead(writer, entry);
  try {
    writeValue(writer, entry.value);
  } catch {
    // What a callback put into its value after it was checked must not stop a snapshot.
    writeValueLenient(writer, entry.value, () => undefined);
  }
}

/** Appends an entry in the form that is the same on equal replicas. */
export function writeComparableEntry(writer: Writer, entry: ShardEntry): void {
  writeHead(writer, entry);
  writeComparableValue(writer, entry.value);
}

function writeHead(writer: Writer, entry: WrittenEntry): void {
  writeValue(writer, entry.hash);
  writeValue(writer, entry.fingerprint);
  writeValue(writer, entry.version);
  writeValue(writer, entry.size);
  writeKey(writer, entry.key);
}

/** Reads what `writeEntry` wrote. */
export function readEntry(reader: Reader): EntryImage {
  const hash = readNumber(reader);
  const fingerprint = readNumber(reader);
  const version = readNumber(reader);
  const size = readNumber(reader);
  const key = readKey(reader);
  return {
    hash,
    fingerprint,
    version,
    size,
    key,
    identity: keyIdentity(key),
    value: readValue(reader),
  };
}

function readNumber(reader: Reader): number {
  const value = readValue(reader);
  if (typeof value !== "number") throw new Error("an entry holds something else than a number");
  return value;
}
