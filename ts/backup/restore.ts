/**
 * Restores a backup: all of it is checked first, then its entries are placed piece by piece, several
 * at a time, with whoever owns them. Nothing is placed of a backup that is damaged. Since equal
 * values count as placed, a restore that was interrupted may be run again.
 */
import { RaftKVError } from "../errors.ts";
import { RESTORE_PIECES_AT_ONCE } from "../limits.ts";
import { chosen, endedBy } from "./choice.ts";
import type { EntriesPiece, RestoreTarget } from "./ports.ts";
import { piecesOf, verifyBackup } from "./reader.ts";
import type { BackupKeyspace, RestoredKeyspace, RestoreOptions, RestoreView } from "./types.ts";

/** See the head of this file. */
export async function restoreBackup(
  directory: string,
  target: RestoreTarget,
  { keyspaces, overwrite = false, onProgress, signal }: RestoreOptions = {},
): Promise<RestoreView> {
  try {
    const backup = await verifyBackup(directory, { onProgress, signal });
    const wanted = chosen(backup.keyspaces, keyspaces, "the backup");
    await target.begin(wanted.map(({ name, policy, replicas }) => ({ name, policy, replicas })));
    const total = wanted.reduce((sum, { keys }) => sum + keys, 0);
    const restored: RestoredKeyspace[] = [];
    let before = 0;
    for (const keyspace of wanted) {
      const keysBefore = before;
      const tell = (keys: number) => {
        const done = total === 0 ? 1 : (keysBefore + keys) / total;
        onProgress?.({ step: "place", keyspace: keyspace.name, keys: keysBefore + keys, done });
      };
      const work = new KeyspaceRestore(target, keyspace, overwrite, tell);
      restored.push(await work.run(piecesOf(directory, keyspace), signal));
      before += keyspace.keys;
    }
    return { directory, keys: total, keyspaces: restored };
  } catch (error) {
    throw endedBy(signal, error);
  }
}

/** Places the entries of one keyspace, a bounded number of pieces at a time. */
class KeyspaceRestore {
  private readonly target: RestoreTarget;
  private readonly keyspace: BackupKeyspace;
  private readonly overwrite: boolean;
  private readonly tell: OnDone;
  private readonly running = new Set<Promise<void>>();
  private failure: { readonly error: unknown } | undefined;
  private done = 0;
  private placed = 0;
  private equal = 0;
  private overwritten = 0;

  constructor(target: RestoreTarget, keyspace: BackupKeyspace, overwrite: boolean, tell: OnDone) {
    this.target = target;
    this.keyspace = keyspace;
    this.overwrite = overwrite;
    this.tell = tell;
  }

  async run(
    pieces: AsyncIterable<EntriesPiece>,
    signal: AbortSignal | undefined,
  ): Promise<RestoredKeyspace> {
    try {
      for await (const piece of pieces) {
        signal?.throwIfAborted();
        while (this.running.size >= RESTORE_PIECES_AT_ONCE) await Promise.race(this.running);
        if (this.failure !== undefined) break;
        this.begin(piece);
      }
    } finally {
      await Promise.all(this.running);
    }
    if (this.failure !== undefined) throw this.failure.error;
    const { placed, equal, overwritten } = this;
    const { name, keys } = this.keyspace;
    return { name, keys, placed, equal, overwritten };
  }

  private begin(piece: EntriesPiece): void {
    const work = this.place(piece)
      .catch((error: unknown) => {
        this.failure ??= { error };
      })
      .finally(() => this.running.delete(work));
    this.running.add(work);
  }

  private async place({ count, entries }: EntriesPiece): Promise<void> {
    const { name } = this.keyspace;
    const { placed, equal, differing, example } = await this.target.place(
      name,
      entries,
      this.overwrite,
    );
    this.placed += placed;
    this.equal += equal;
    if (differing > 0 && !this.overwrite) throw conflict(name, example);
    this.overwritten += differing;
    this.done += count;
    this.tell(this.done);
  }
}

type OnDone = (keys: number) => void;

function conflict(keyspace: string, example: string): RaftKVError {
  const message =
    `the key ${example} of keyspace ${keyspace} exists and has another value than in the backup. ` +
    "What was placed before stays; restore into an empty keyspace, or say that such keys are to be overwritten";
  return new RaftKVError("RESTORE_CONFLICT", message, { keyspace });
}
