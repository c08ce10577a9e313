/**
 * Makes a backup: for each keyspace range by range, each from whoever owns the next hash and up to
 * the end of its shard, so that the ranges are the whole hash space whatever splits and merges.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { RaftKVError } from "../errors.ts";
import { BACKUP_ATTEMPTS, BACKUP_OWNER_POLL_MS, HASH_END } from "../limits.ts";
import { chosen, endedBy } from "./choice.ts";
import type { BackupSource, EntriesPiece, OpenedRange } from "./ports.ts";
import type { BackupOptions, BackupView } from "./types.ts";
import { BackupWriter, type KeyspaceWriter } from "./writer.ts";

/** See the head of this file. */
export async function saveBackup(
  source: BackupSource,
  directory: string,
  { keyspaces, onProgress, signal }: BackupOptions = {},
): Promise<BackupView> {
  const cluster = await source.describe();
  const wanted = chosen(cluster.keyspaces, keyspaces, "the cluster");
  const writer = await BackupWriter.create(directory);
  let keys = 0;
  try {
    for (const [at, keyspace] of wanted.entries()) {
      const file = await writer.begin(keyspace);
      const tell = (hash: number) => {
        const done = (at + hash / HASH_END) / wanted.length;
        onProgress?.({ step: "save", keyspace: keyspace.name, keys: keys + file.count, done });
      };
      for (let from = 0; from < HASH_END; ) {
        from = await saveRange(source, file, keyspace.name, from, tell, signal);
      }
      keys += file.count;
      await writer.end();
    }
    return await writer.finish(cluster);
  } catch (error) {
    await writer.discard();
    throw endedBy(signal, error);
  }
}

/** Writes one range, and says where the next begins. A reading that breaks off is begun anew. */
async function saveRange(
  source: BackupSource,
  file: KeyspaceWriter,
  keyspace: string,
  from: number,
  tell: (hash: number) => void,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const range = await source.open(keyspace, from);
    try {
      const before = file.count;
      const tellPiece = () => {
        const part = Math.min(1, (file.count - before) / Math.max(1, range.keys));
        tell(from + (range.end - from) * part);
      };
      await file.range(range, piecesOf(source, range, tellPiece, signal));
      tell(range.end);
      return range.end;
    } catch (error) {
      await source.close(range.reading).catch(() => undefined);
      if (attempt >= BACKUP_ATTEMPTS || !isPassing(error)) throw error;
    }
    await sleep(BACKUP_OWNER_POLL_MS);
  }
}

async function* piecesOf(
  source: BackupSource,
  { reading }: OpenedRange,
  tell: () => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<EntriesPiece, void, undefined> {
  for (;;) {
    signal?.throwIfAborted();
    const piece = await source.next(reading);
    if (piece === null) return;
    yield piece;
    tell();
  }
}

/** Is it worth to begin the range again? What the disk refuses it will refuse again. */
function isPassing(error: unknown): boolean {
  return error instanceof RaftKVError && error.action === "retry" && error.code !== "BACKUP_FAILED";
}
