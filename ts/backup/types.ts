/** What a backup is told to be, and how far making or restoring one has come. Plain data. */

/** A range of hashes of a keyspace, as its shard was at one index of its log. */
export interface BackupRange {
  /** The shard that owned the range. */
  readonly shard: string;
  /** First hash value. */
  readonly start: number;
  /** First hash value behind it. */
  readonly end: number;
  /** Index in the log of the shard's group: what later entries did is not in the backup. */
  readonly index: number;
  /** When that was, by the clock of the node that leads the shard, in ISO 8601. */
  readonly at: string;
  /** Name of that node. */
  readonly node: string;
  readonly keys: number;
}

/** A keyspace of a backup. */
export interface BackupKeyspace {
  readonly name: string;
  /** Its `SplitMergePolicy`. */
  readonly policy: { readonly [field: string]: number };
  /** Replicas of each shard. */
  readonly replicas: number;
  readonly keys: number;
  /** Name of the file with its entries, in the directory of the backup. */
  readonly file: string;
  readonly bytes: number;
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly sha256: string;
  /** In the order of their hashes; together they are the whole hash space, without overlap. */
  readonly ranges: readonly BackupRange[];
}

/** A whole backup. */
export interface BackupView {
  readonly format: "raft-kv backup";
  /** Of the files. */
  readonly formatVersion: number;
  /** Of the way from a key to its hash. */
  readonly hashVersion: number;
  /** The version of raft-kv that made it. */
  readonly madeBy: string;
  readonly clusterName: string;
  readonly clusterId: string | null;
  /** In ISO 8601. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Keys of all its keyspaces. */
  readonly keys: number;
  /** Bytes of all its files with entries. */
  readonly bytes: number;
  readonly keyspaces: readonly BackupKeyspace[];
}

/** How far something that takes long has come. */
export interface BackupProgress {
  /** Reading the cluster; checking the files; writing into the cluster. */
  readonly step: "save" | "check" | "place";
  readonly keyspace: string;
  /** Keys of all keyspaces that are done, in this step. */
  readonly keys: number;
  /** The part of this step that is done, 0 to 1. */
  readonly done: number;
}

/** Called now and then while something takes long. */
export type OnProgress = (progress: BackupProgress) => void;

/** What became of a keyspace that was restored. */
export interface RestoredKeyspace {
  readonly name: string;
  /** Keys of the backup. */
  readonly keys: number;
  /** Keys that did not exist, or were overwritten. */
  readonly placed: number;
  /** Keys that had the same value already, as after an interrupted restore. */
  readonly equal: number;
  /** Those of the placed keys that had another value before. */
  readonly overwritten: number;
}

/** What a restore did. */
export interface RestoreView {
  readonly directory: string;
  readonly keys: number;
  readonly keyspaces: readonly RestoredKeyspace[];
}

/** How a backup is made. */
export interface BackupOptions {
  /** Names of the keyspaces; all of them by default. */
  readonly keyspaces?: readonly string[] | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Ends it early; nothing that looks like a backup is left. */
  readonly signal?: AbortSignal | undefined;
}

/** How a backup is restored. */
export interface RestoreOptions {
  /** Names of keyspaces of the backup; all of them by default. */
  readonly keyspaces?: readonly string[] | undefined;
  /** Should keys that exist with another value get that of the backup? Default false. */
  readonly overwrite?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Ends it early; it may be run again. */
  readonly signal?: AbortSignal | undefined;
}
