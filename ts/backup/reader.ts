/**
 * Reads a backup and finds what is damaged: `backup.json` first, then files frame by frame, each
 * frame by its own digest, and the file by its length and digest in the description.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeValue } from "../codec/value.ts";
import { RaftKVError } from "../errors.ts";
import { BACKUP_DESCRIPTION_BYTES_MAX, HASH_END } from "../limits.ts";
import { endedBy } from "./choice.ts";
import {
  type Counted,
  DESCRIPTION_FILE,
  damaged,
  descriptionText,
  digestOf,
  type FileHead,
  FORMAT_VERSION,
  FRAME,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  failed,
} from "./format.ts";
import type { EntriesPiece } from "./ports.ts";
import type { BackupKeyspace, BackupOptions, BackupRange, BackupView } from "./types.ts";

/** Bytes that are read between two calls of `onProgress`, about. */
const PROGRESS_BYTES = 1024 * 1024;

/** The description of a backup. @throws `BACKUP_DAMAGED`, `BACKUP_FAILED` */
export async function readDescription(directory: string): Promise<BackupView> {
  const path = join(directory, DESCRIPTION_FILE);
  const handle = await opened(directory, DESCRIPTION_FILE);
  let text: string;
  try {
    const { size } = await handle.stat();
    if (size > BACKUP_DESCRIPTION_BYTES_MAX) throw damaged(path, "is too long to be one");
    text = await handle.readFile("utf8");
  } catch (error) {
    throw failed(`${path} cannot be read`, error);
  } finally {
    await handle.close();
  }
  let view: BackupView;
  try {
    const { sha256: _sha256, ...rest } = JSON.parse(text) as BackupView & { sha256: string };
    view = rest;
  } catch {
    throw damaged(path, "is no JSON: it was cut off or changed");
  }
  if (descriptionText(view) !== text) throw damaged(path, "does not have its checksum");
  if (view.format !== "raft-kv backup" || view.formatVersion !== FORMAT_VERSION) {
    const message = `${path} has format ${view.formatVersion}, which raft-kv ${view.madeBy} wrote; this version reads format ${FORMAT_VERSION}`;
    throw new RaftKVError("BACKUP_FAILED", message, { action: "fix" });
  }
  if (!isDescription(view)) throw damaged(path, "does not describe a backup");
  return view;
}

/** Has it what is needed to look further? Files are within the directory. */
function isDescription({ keyspaces }: BackupView): boolean {
  const isKeyspace = ({ name, file, bytes, ranges }: BackupKeyspace) =>
    typeof name === "string" &&
    /^\d+-[\w.-]+\.entries$/.test(file) &&
    Number.isSafeInteger(bytes) &&
    Array.isArray(ranges);
  return Array.isArray(keyspaces) && keyspaces.every(isKeyspace);
}

/** How checking is followed, and ended early. */
export type CheckOptions = Pick<BackupOptions, "onProgress" | "signal">;

/** Reads all files of a backup, and places nothing. @throws `BACKUP_DAMAGED`, `BACKUP_FAILED` */
export async function verifyBackup(
  directory: string,
  options: CheckOptions = {},
): Promise<BackupView> {
  try {
    const view = await readDescription(directory);
    await checkFiles(directory, view, options);
    return view;
  } catch (error) {
    throw endedBy(options.signal, error);
  }
}

async function checkFiles(
  directory: string,
  view: BackupView,
  { onProgress, signal }: CheckOptions,
): Promise<void> {
  let bytes = 0;
  let told = 0;
  let keys = 0;
  for (const keyspace of view.keyspaces) {
    await checkLength(directory, keyspace);
    for await (const piece of piecesOf(directory, keyspace)) {
      signal?.throwIfAborted();
      bytes += piece.entries.length;
      keys += piece.count;
      if (bytes - told < PROGRESS_BYTES) continue;
      told = bytes;
      onProgress?.({ step: "check", keyspace: keyspace.name, keys, done: bytes / view.bytes });
    }
  }
}

/** The entries of a keyspace; the file is checked on the way, and as a whole at the end. */
export async function* piecesOf(
  directory: string,
  keyspace: BackupKeyspace,
): AsyncGenerator<EntriesPiece, void, undefined> {
  const path = join(directory, keyspace.file);
  const check = new FileCheck(path, keyspace);
  const handle = await opened(directory, keyspace.file);
  try {
    const hash = createHash("sha256");
    let at = 0;
    for (let number = 0; at < keyspace.bytes; number++) {
      const frame = await readFrame(handle, path, at, keyspace.bytes - at, number);
      hash.update(frame);
      const content = frame.subarray(FRAME_HEADER_BYTES);
      const kind = frame.readUInt32LE(0);
      check.take(kind, content, at);
      if (kind === FRAME.entries) {
        yield { count: content.readUInt32LE(0), entries: content.subarray(4) };
      }
      at += frame.length;
    }
    check.finish();
    if (hash.digest("hex") !== keyspace.sha256) throw damaged(path, "does not have its checksum");
  } catch (error) {
    throw failed(`${path} cannot be read`, error);
  } finally {
    await handle.close();
  }
}

/** Follows the frames of a file, and says what is out of order. */
class FileCheck {
  private readonly path: string;
  private readonly keyspace: BackupKeyspace;
  private headed = false;
  private range: BackupRange | undefined;
  private next = 0;
  private ranges = 0;
  private inRange = 0;
  private keys = 0;
  private ended = false;

  constructor(path: string, keyspace: BackupKeyspace) {
    this.path = path;
    this.keyspace = keyspace;
  }

  take(kind: number, content: Buffer, at: number): void {
    let isInOrder = false;
    try {
      isInOrder = this.isInOrder(kind, content);
    } catch {
      // What cannot be read is not what stands here in a whole file.
    }
    if (!isInOrder) throw damaged(this.path, `has a part out of order at byte ${at}`);
  }

  finish(): void {
    const { ended, keys, ranges, next, keyspace } = this;
    const isWhole = ended && keys === keyspace.keys && ranges === keyspace.ranges.length;
    if (!isWhole || next !== HASH_END) throw damaged(this.path, "does not hold all keys");
  }

  private isInOrder(kind: number, content: Buffer): boolean {
    if (this.ended) return false;
    if (!this.headed) {
      const head = kind === FRAME.head ? (decodeValue(content) as FileHead) : undefined;
      this.headed = head?.keyspace === this.keyspace.name;
      return this.headed;
    }
    const { range } = this;
    if (range === undefined) {
      if (kind === FRAME.range) return this.begin(decodeValue(content) as BackupRange);
      this.ended = kind === FRAME.end && (decodeValue(content) as Counted).keys === this.keys;
      return this.ended;
    }
    if (kind === FRAME.entries && content.length > 4) {
      this.inRange += content.readUInt32LE(0);
      return true;
    }
    const isEnd =
      kind === FRAME.rangeEnd && (decodeValue(content) as Counted).keys === this.inRange;
    this.keys += this.inRange;
    this.next = range.end;
    this.range = undefined;
    return isEnd;
  }

  private begin(range: BackupRange): boolean {
    const described = this.keyspace.ranges[this.ranges++];
    this.range = range;
    this.inRange = 0;
    const isNext = range.start === this.next && range.end > range.start;
    return isNext && range.start === described?.start && range.end === described.end;
  }
}

async function readFrame(
  handle: FileHandle,
  path: string,
  at: number,
  left: number,
  number: number,
): Promise<Buffer> {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  await fill(handle, path, header, 0, at);
  const length = header.readUInt32LE(4);
  if (length > FRAME_BYTES_MAX || FRAME_HEADER_BYTES + length > left) {
    throw damaged(path, `has an impossible length at byte ${at}`);
  }
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + length);
  frame.set(header);
  await fill(handle, path, frame, FRAME_HEADER_BYTES, at);
  if (!digestOf(number, frame).equals(header.subarray(8))) {
    throw damaged(path, `does not have its checksum at byte ${at}`);
  }
  return frame;
}

/** Fills a buffer from `from` on with what stands in the file from `at + from` on. */
async function fill(
  handle: FileHandle,
  path: string,
  buffer: Buffer,
  from: number,
  at: number,
): Promise<void> {
  for (let filled = from; filled < buffer.length; ) {
    const left = buffer.length - filled;
    const { bytesRead } = await handle.read(buffer, filled, left, at + filled);
    if (bytesRead === 0) throw damaged(path, `was cut off at byte ${at + filled}`);
    filled += bytesRead;
  }
}

async function checkLength(directory: string, { file, bytes }: BackupKeyspace): Promise<void> {
  const path = join(directory, file);
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) throw damaged(path, "is missing");
  if (size === bytes) return;
  const what = size < bytes ? "was cut off" : "is too long";
  throw damaged(path, `${what}: it has ${size} bytes and should have ${bytes}`);
}

async function opened(directory: string, file: string): Promise<FileHandle> {
  const path = join(directory, file);
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      const isDescription = file === DESCRIPTION_FILE;
      throw damaged(path, isDescription ? "is missing: this is no backup" : "is missing");
    }
    throw failed(`${path} cannot be read`, error);
  }
}
