/**
 * What a backup looks like on the disk: a directory with `backup.json`, its description, and a file
 * of frames for each keyspace.
 *
 * A frame: word 0 its kind; word 1 the length of its content in bytes; 8 bytes of the SHA-256 over
 * its number in the file, kind, length and content; then the content. Words are little-endian. A
 * file is: a head; for each range its head, entries, and an end that counts them; and an end that
 * counts all. The description has each file's length and SHA-256, and its own, so that nothing can
 * be changed, left out or cut off without being noticed.
 */
import { createHash } from "node:crypto";
import { RaftKVError } from "../errors.ts";
import { ARGUMENT_BYTES_MAX, BACKUP_PIECE_BYTES } from "../limits.ts";
import type { BackupView } from "./types.ts";

/** The format of the files. */
export const FORMAT_VERSION = 1;
/** The way from a key to its hash; restoring hashes keys anew, so another one does no harm. */
export const HASH_VERSION = 1;
/** Name of the description within the directory. */
export const DESCRIPTION_FILE = "backup.json";

/** What a frame holds. */
export const FRAME = { head: 1, range: 2, entries: 3, rangeEnd: 4, end: 5 } as const;
/** Bytes in front of a frame's content. */
export const FRAME_HEADER_BYTES = 16;
/** Bytes of a frame's content at most. */
export const FRAME_BYTES_MAX: number = ARGUMENT_BYTES_MAX + BACKUP_PIECE_BYTES;

/** Content of a file's first frame. */
export interface FileHead {
  readonly formatVersion: number;
  readonly keyspace: string;
}

/** Content of the last frame of a range, and of a file. */
export interface Counted {
  readonly keys: number;
}

/** A frame as bytes. */
export function frameOf(number: number, kind: number, content: Uint8Array): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + content.length);
  frame.writeUInt32LE(kind, 0);
  frame.writeUInt32LE(content.length, 4);
  frame.set(content, FRAME_HEADER_BYTES);
  frame.set(digestOf(number, frame), 8);
  return frame;
}

/** The digest that stands in a frame, of a frame that is the so manieth of its file. */
export function digestOf(number: number, frame: Buffer): Buffer {
  const place = Buffer.alloc(4);
  place.writeUInt32LE(number >>> 0, 0);
  const hash = createHash("sha256").update(place).update(frame.subarray(0, 8));
  return hash.update(frame.subarray(FRAME_HEADER_BYTES)).digest().subarray(0, 8);
}

/** The description as it stands in its file. */
export function descriptionText(view: BackupView): string {
  const sha256 = createHash("sha256").update(JSON.stringify(view)).digest("hex");
  return `${JSON.stringify({ ...view, sha256 }, null, 2)}\n`;
}

/** A file of a backup that is not as it was written. */
export function damaged(file: string, what: string): RaftKVError {
  const message = `the backup is damaged: ${file} ${what}. Use another one`;
  return new RaftKVError("BACKUP_DAMAGED", message, { outcome: "not applied" });
}

/** A file that cannot be written or read. */
export function failed(what: string, cause: unknown): RaftKVError {
  if (cause instanceof RaftKVError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RaftKVError("BACKUP_FAILED", `${what}: ${reason}`, { cause });
}
