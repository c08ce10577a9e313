/** What the dashboard's page is told, as JSON. The page and the node share these types. */

/** How many hash values there are: the end of the last shard's range. */
export const HASHES = 2 ** 27;

/** Seconds that half, and all but one of a hundred, took at most; `null` when there was none. */
export interface Latency {
  readonly median: number | null;
  readonly p99: number | null;
}

/** What the serving node's own program asks for, over the last seconds. */
export interface Rates {
  readonly commandsPerSecond: number;
  readonly queriesPerSecond: number;
  /** Commands without an answer yet. */
  readonly inFlight: number;
  readonly command: Latency;
  readonly query: Latency;
}

/** How things were at one moment. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly rates: Rates;
  /**
   * For each keyspace, `CELL_NUMBERS` numbers in turn for each of its shards, in order of hash
   * values: the first hash value, the load of the last statistics interval, the number of keys.
   * Load and keys are `null` until the shard's leader has reported them for its range.
   */
  readonly cells: Readonly<Record<string, readonly (number | null)[]>>;
}

/** Numbers of a cell in `Sample.cells`. */
export const CELL_NUMBERS = 3;

/** A border between shards that came or went. */
export interface Mark {
  readonly at: number;
  readonly kind: "split" | "merge";
  readonly keyspace: string;
  /** The first hash value above the border. */
  readonly hash: number;
}

/** Something that happened in the cluster. */
export interface Happening {
  /** Counts up; the page tells by it what it has seen. */
  readonly number: number;
  readonly at: number;
  readonly kind: string;
  readonly text: string;
}

/** A node of the cluster, as the serving node sees it. */
export interface NodeOfView {
  readonly name: string;
  readonly zone: string;
  readonly address: string | null;
  readonly health: "active" | "unreachable" | "leaving" | "drained" | "purged";
  /** Groups in which it votes. */
  readonly voters: number;
  /** Groups that it leads, as far as the serving node knows. */
  readonly leads: number;
}

/** A consensus group. */
export interface GroupOfView {
  readonly name: string;
  /** `null`: none, or none that the serving node knows of. */
  readonly leader: string | null;
  readonly members: readonly string[];
  readonly state: "ok" | "moving" | "new" | "removing" | "no leader";
}

/** A shard; figures are `null` until its leader has reported them. */
export interface ShardOfView {
  readonly name: string;
  readonly start: number;
  /** The first hash value behind its range. */
  readonly end: number;
  readonly keys: number | null;
  /** In the unit of the keyspace's own code, as is the load. */
  readonly size: number | null;
  readonly load: number | null;
  /** How far it has filled its policy: above 1 it is due to be split. */
  readonly filled: number;
  /** `null`: none, or none that the serving node knows of. */
  readonly leader: string | null;
  /** A split or merge that it takes part in. */
  readonly doing: string | null;
}

/** A keyspace. */
export interface KeyspaceOfView {
  readonly name: string;
  /** How many shards there are; `shards` may list fewer. */
  readonly count: number;
  /** `null` while those of a shard are not counted. */
  readonly keys: number | null;
  readonly shards: readonly ShardOfView[];
}

/** The cluster as the serving node knows it. */
export interface NodeState {
  /** The name of the serving node. */
  readonly node: string;
  readonly cluster: string;
  readonly version: string;
  /** Is the serving node ready to serve? */
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly nodes: readonly NodeOfView[];
  /** How many groups there are; `groups` may list fewer, those in trouble first. */
  readonly groupCount: number;
  readonly groups: readonly GroupOfView[];
  /** How many keyspaces there are; `keyspaces` may list fewer. */
  readonly keyspaceCount: number;
  readonly keyspaces: readonly KeyspaceOfView[];
  /** Milliseconds that loads count for. */
  readonly loadInterval: number;
}

/** What is sent again and again: everything but the past. */
export interface View extends NodeState {
  readonly at: number;
  /** The newest sample. */
  readonly sample: Sample;
  readonly marks: readonly Mark[];
  readonly happenings: readonly Happening[];
}

/** What is sent first. */
export interface Past {
  readonly samples: readonly Sample[];
}
