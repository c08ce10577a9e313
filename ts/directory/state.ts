/**
 * The directory's state: keyspaces, their shards, and the workflows that change them.
 *
 * It says what is meant to be; a shard alone decides what it owns. The ranges of a keyspace's
 * shards tile the whole hash space from the moment the first shard exists.
 */
import type { SplitMergePolicyFields } from "../policy.ts";
import type { Workflow } from "./workflow.ts";

/** Name of the directory's group. */
export const DIRECTORY_NAME = "RaftKV.Keyspaces";
/** Number of hash values: the end of the last shard's range. */
export const HASH_SPACE = 2 ** 27;

/** What a shard's leader has counted. */
export interface ShardStatistics {
  readonly keys: number;
  /** Sum of the sizes that the user's commands returned. */
  readonly size: number;
  /** Load per statistics interval, queries to missing keys included. */
  readonly load: number;
  /** When it was counted, milliseconds since 1970. */
  readonly at: number;
}

/** A shard as the directory knows it. */
export interface ShardEntry {
  /** `<keyspace>_<start>`. */
  readonly name: string;
  /** First hash value of its range. */
  readonly start: number;
  /** First hash value behind its range. */
  readonly end: number;
  readonly group: number;
  /** The token that its group was added with. */
  readonly token: string;
  /** Time of the last split or merge, or of the attempt; 0 when there was none. */
  readonly changedAt: number;
  /** What it was; `null` when there was none. */
  readonly changedBy: "split" | "merge" | "attempt" | null;
  /** Id of the workflow that is changing this shard. */
  readonly lock: number | null;
  /** `null` until a report about exactly this range has come. */
  readonly statistics: ShardStatistics | null;
}

/** How the groups of a keyspace are set up; the directory does not look into it. */
export interface KeyspaceSettings {
  readonly replicas: number;
  readonly [option: string]: unknown;
}

/** A keyspace. */
export interface KeyspaceEntry {
  readonly name: string;
  /** Identifies the keyspace in routes; never reused. */
  readonly number: number;
  readonly policy: SplitMergePolicyFields;
  readonly settings: KeyspaceSettings;
  /** Identifies the request that registered it, so that it may be repeated. */
  readonly token: string;
  /** In ascending order of range; empty until the first group exists. */
  readonly shards: readonly ShardEntry[];
}

/** The whole state of the directory. Never changed in place. */
export interface DirectoryState {
  readonly keyspaces: ReadonlyMap<string, KeyspaceEntry>;
  /** What is under way, by id. */
  readonly workflows: ReadonlyMap<number, Workflow>;
  readonly nextKeyspace: number;
  readonly nextWorkflow: number;
  readonly nextTransfer: number;
}

/** The directory before any command. */
export function emptyDirectory(): DirectoryState {
  return {
    keyspaces: new Map(),
    workflows: new Map(),
    nextKeyspace: 1,
    nextWorkflow: 1,
    nextTransfer: 1,
  };
}

/** The name of the shard of a keyspace that starts at this hash value. */
export function shardName(keyspace: string, start: number): string {
  return `${keyspace}_${start}`;
}

/** The keyspace whose shard has, or may come to have, this name; `undefined` for other names. */
export function keyspaceOfShardName(name: string): string | undefined {
  return /^(.+)_(?:0|[1-9]\d*)$/.exec(name)?.[1];
}

/** The state with this keyspace in place of the one of its name. */
export function withKeyspace(state: DirectoryState, keyspace: KeyspaceEntry): DirectoryState {
  return { ...state, keyspaces: new Map(state.keyspaces).set(keyspace.name, keyspace) };
}

/** The state with this workflow in place of the one of its id. */
export function withWorkflow(state: DirectoryState, workflow: Workflow): DirectoryState {
  return { ...state, workflows: new Map(state.workflows).set(workflow.id, workflow) };
}

/** The state without this workflow. */
export function withoutWorkflow(state: DirectoryState, id: number): DirectoryState {
  const workflows = new Map(state.workflows);
  workflows.delete(id);
  return { ...state, workflows };
}

/** The state with each shard of a keyspace replaced by what `change` makes of it. */
export function withShards(
  state: DirectoryState,
  keyspace: string,
  change: (shards: readonly ShardEntry[]) => readonly ShardEntry[],
): DirectoryState {
  const entry = state.keyspaces.get(keyspace);
  if (!entry) return state;
  return withKeyspace(state, { ...entry, shards: change(entry.shards) });
}
