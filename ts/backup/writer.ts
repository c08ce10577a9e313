/**
 * Writes a backup: into a directory beside its place, under a name that says that it is not whole,
 * which gets its own name once every file is on the disk. So whatever has the name is whole.
 */
import { createHash, type Hash, randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { encodeValue } from "../codec/value.ts";
import { RaftKVError } from "../errors.ts";
import { VERSION } from "../version.ts";
import {
  DESCRIPTION_FILE,
  descriptionText,
  FORMAT_VERSION,
  FRAME,
  failed,
  frameOf,
  HASH_VERSION,
} from "./format.ts";
import type {
  ClusterDescription,
  EntriesPiece,
  KeyspaceDescription,
  OpenedRange,
} from "./ports.ts";
import type { BackupKeyspace, BackupRange, BackupView } from "./types.ts";

/** See the head of this file. */
export class BackupWriter {
  private readonly directory: string;
  private readonly partial: string;
  private readonly startedAt = new Date().toISOString();
  private readonly keyspaces: BackupKeyspace[] = [];
  private current: KeyspaceWriter | undefined;

  private constructor(directory: string) {
    this.directory = directory;
    this.partial = `${directory}.partial-${randomBytes(4).toString("hex")}`;
  }

  /** Begins a backup in a directory that does not exist, or is empty. @throws `INVALID_ARGUMENT` */
  static async create(directory: string): Promise<BackupWriter> {
    const writer = new BackupWriter(resolve(directory));
    await refuseUsed(writer.directory);
    await trying(`${writer.partial} cannot be made`, () =>
      mkdir(writer.partial, { recursive: true }),
    );
    return writer;
  }

  /** Begins the file of a keyspace. */
  async begin(keyspace: KeyspaceDescription): Promise<KeyspaceWriter> {
    const file = `${this.keyspaces.length + 1}-${keyspace.name}.entries`;
    this.current = await KeyspaceWriter.create(join(this.partial, file), file, keyspace);
    return this.current;
  }

  /** Ends the file that was begun. */
  async end(): Promise<void> {
    const { current } = this;
    if (current !== undefined) this.keyspaces.push(await current.finish());
    this.current = undefined;
  }

  /** Writes the description and gives the backup its name. */
  async finish({ clusterName, clusterId }: ClusterDescription): Promise<BackupView> {
    const { keyspaces, startedAt, directory, partial } = this;
    const sum = (of: "keys" | "bytes") => keyspaces.reduce((total, each) => total + each[of], 0);
    const view: BackupView = {
      format: "raft-kv backup",
      formatVersion: FORMAT_VERSION,
      hashVersion: HASH_VERSION,
      madeBy: VERSION,
      ...{ clusterName, clusterId, startedAt },
      finishedAt: new Date().toISOString(),
      keys: sum("keys"),
      bytes: sum("bytes"),
      keyspaces,
    };
    await trying(`${directory} cannot be written`, async () => {
      const handle = await open(join(partial, DESCRIPTION_FILE), "wx");
      try {
        await handle.writeFile(descriptionText(view));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await syncDirectory(partial);
      await rmdir(directory).catch(() => undefined);
      await rename(partial, directory);
      await syncDirectory(dirname(directory));
    });
    return view;
  }

  /** Removes what was written. */
  async discard(): Promise<void> {
    await this.current?.close();
    await rm(this.partial, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Where a file was before a range that may have to be begun again. */
interface Mark {
  readonly length: number;
  readonly frames: number;
  readonly keys: number;
  readonly ranges: number;
  readonly hash: Hash;
}

/** Writes the file of one keyspace. */
export class KeyspaceWriter {
  private readonly handle: FileHandle;
  private readonly path: string;
  private readonly file: string;
  private readonly keyspace: KeyspaceDescription;
  private hash = createHash("sha256");
  private length = 0;
  private frames = 0;
  private keys = 0;
  private ranges: BackupRange[] = [];

  private constructor(
    handle: FileHandle,
    path: string,
    file: string,
    keyspace: KeyspaceDescription,
  ) {
    this.handle = handle;
    this.path = path;
    this.file = file;
    this.keyspace = keyspace;
  }

  static async create(path: string, file: string, keyspace: KeyspaceDescription) {
    const handle = await trying(`${path} cannot be made`, () => open(path, "wx"));
    const writer = new KeyspaceWriter(handle, path, file, keyspace);
    await writer.value(FRAME.head, { formatVersion: FORMAT_VERSION, keyspace: keyspace.name });
    return writer;
  }

  /** How many keys it holds. */
  get count(): number {
    return this.keys;
  }

  /**
   * Writes a range. When that fails the file is as it was before, and the range may be written
   * again. `pieces` gives its entries.
   */
  async range(
    { shard, start, end, index, at, node }: OpenedRange,
    pieces: AsyncIterable<EntriesPiece>,
  ): Promise<void> {
    const mark = this.mark();
    const about = { shard, start, end, index, at, node };
    try {
      await this.value(FRAME.range, about);
      for await (const { count, entries } of pieces) {
        const counted = Buffer.alloc(4 + entries.length);
        counted.writeUInt32LE(count, 0);
        counted.set(entries, 4);
        await this.frame(FRAME.entries, counted);
        this.keys += count;
      }
      const keys = this.keys - mark.keys;
      await this.value(FRAME.rangeEnd, { keys });
      this.ranges.push({ ...about, keys });
    } catch (error) {
      await this.back(mark);
      throw error;
    }
  }

  /** Ends the file, which is on the disk then. */
  async finish(): Promise<BackupKeyspace> {
    const { name, policy, replicas } = this.keyspace;
    await this.value(FRAME.end, { keys: this.keys });
    await trying(`${this.path} cannot be written`, () => this.handle.sync());
    await this.close();
    return {
      ...{ name, policy, replicas, keys: this.keys, file: this.file, bytes: this.length },
      sha256: this.hash.digest("hex"),
      ranges: this.ranges,
    };
  }

  async close(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }

  private mark(): Mark {
    const { length, frames, keys, ranges, hash } = this;
    return { length, frames, keys, ranges: ranges.length, hash: hash.copy() };
  }

  private async back({ length, frames, keys, ranges, hash }: Mark): Promise<void> {
    this.length = length;
    this.frames = frames;
    this.keys = keys;
    this.ranges.length = ranges;
    this.hash = hash;
    await trying(`${this.path} cannot be written`, () => this.handle.truncate(length));
  }

  private value(kind: number, content: object): Promise<void> {
    return this.frame(kind, encodeValue(content));
  }

  private async frame(kind: number, content: Uint8Array): Promise<void> {
    const frame = frameOf(this.frames, kind, content);
    await trying(`${this.path} cannot be written`, async () => {
      for (let at = 0; at < frame.length; ) {
        const left = frame.length - at;
        const { bytesWritten } = await this.handle.write(frame, at, left, this.length + at);
        at += bytesWritten;
      }
    });
    this.hash.update(frame);
    this.length += frame.length;
    this.frames++;
  }
}

async function trying<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failed(what, error);
  }
}

async function refuseUsed(directory: string): Promise<void> {
  let present: string[];
  try {
    present = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw failed(`a backup cannot be written to ${directory}`, error);
  }
  if (present.length === 0) return;
  const message = `${directory} is not empty; a backup needs a directory of its own`;
  throw new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}

/** Makes names in a directory durable, where the system lets a directory be opened. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
