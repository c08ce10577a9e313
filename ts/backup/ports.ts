/** Where backups come from and go to: a cluster, from one of its nodes or over its admin server. */
import type { BackupKeyspace } from "./types.ts";

/** A keyspace, as it has to be to take what is restored. */
export type KeyspaceDescription = Pick<BackupKeyspace, "name" | "policy" | "replicas">;

/** The cluster that a backup is made of. */
export interface ClusterDescription {
  readonly clusterName: string;
  readonly clusterId: string | null;
  readonly keyspaces: readonly KeyspaceDescription[];
}

/** A range that is being read, as it is at one index of its shard's log. */
export interface OpenedRange {
  /** Names the reading. */
  readonly reading: string;
  readonly shard: string;
  readonly start: number;
  readonly end: number;
  readonly index: number;
  readonly at: string;
  readonly node: string;
  /** How many keys will come at most, where that is known; else 0. */
  readonly keys: number;
}

/** Some entries, in the form in which shards exchange them. */
export interface EntriesPiece {
  readonly count: number;
  readonly entries: Uint8Array;
}

/** What a backup is made of. */
export interface BackupSource {
  describe(): Promise<ClusterDescription>;
  /** Begins to read the shard that owns a hash, from that hash on. */
  open(keyspace: string, from: number): Promise<OpenedRange>;
  /** The next entries; `null` after the last. A reading that ended rejects with `NO_LEADER`. */
  next(reading: string): Promise<EntriesPiece | null>;
  /** Ends a reading early. */
  close(reading: string): Promise<void>;
}

/** What became of entries. */
export interface PlacedEntries {
  readonly placed: number;
  readonly equal: number;
  /** Keys with another value; unless they are overwritten, some entries were not placed. */
  readonly differing: number;
  /** The first key of these, for people. */
  readonly example: string;
}

/** What a backup is restored into. */
export interface RestoreTarget {
  /** Makes sure that there are these keyspaces. @throws `MODULE_NOT_BOUND` */
  begin(keyspaces: readonly KeyspaceDescription[]): Promise<void>;
  /** Places entries with their present owners. May be repeated. */
  place(keyspace: string, entries: Uint8Array, overwrite: boolean): Promise<PlacedEntries>;
}
