/** What the functions of `RaftFleet.admin` return: plain data that JSON can hold. */

/** Anything that JSON can hold. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** A split or merge that is under way. */
export interface TransferView {
  readonly kind: "split" | "merge";
  readonly keyspace: string;
  /** The shard that gives keys away. */
  readonly from: string;
  /** The shard that gets them. */
  readonly to: string;
  /** What is done at present: `createGroup`, `begin`, `copy`, `handOver`, `publish` ... */
  readonly step: string;
  /** When it began, in ISO 8601. */
  readonly since: string;
}

/** The cluster at a glance. */
export interface StatusView {
  readonly clusterName: string;
  /** `null` before the cluster is founded. */
  readonly clusterId: string | null;
  /** The node that answered. */
  readonly node: string;
  readonly version: string;
  /** Are all nodes reached, all groups led, and all members where they should be? */
  readonly healthy: boolean;
  /** What is not as it should be, a sentence each. */
  readonly problems: readonly string[];
  readonly nodes: { readonly total: number; readonly reachable: number };
  readonly groups: {
    readonly total: number;
    readonly withoutLeader: number;
    /** Groups whose members are being moved. */
    readonly moving: number;
  };
  readonly keyspaces: number;
  readonly shards: number;
  /** Keys of all keyspaces, as last reported. */
  readonly keys: number;
  /** Load of all keyspaces in the last statistics interval. */
  readonly load: number;
  readonly transfers: readonly TransferView[];
}

/** How a node stands. */
export type NodeState =
  | "active"
  /** Its replicas move away because somebody drained it. */
  | "draining"
  /** It was drained, and holds no voter any more. */
  | "drained"
  /** It called `deactivate`, and its replicas move away. */
  | "leaving"
  | "unreachable"
  /** It was out of reach for too long, and its replicas are replaced. */
  | "purged";

/** A node. */
export interface NodeView {
  readonly name: string;
  readonly zone: string;
  /** Where other nodes reach it, `null` for a cluster of one. */
  readonly address: string | null;
  readonly state: NodeState;
  /** Since when it is out of reach, in ISO 8601, or `null`. */
  readonly unreachableSince: string | null;
  /** The version of raft-kv that it runs. */
  readonly version: string;
  /** How many groups it votes in. */
  readonly voters: number;
  /** How many groups it leads; `null` when it did not answer, as with what follows. */
  readonly leads: number | null;
  readonly uptimeSeconds: number | null;
  /** Resident memory of its process. */
  readonly memoryBytes: number | null;
  readonly diskBytes: number | null;
  /** Calls of its program that have no answer yet. */
  readonly requestsInFlight: number | null;
}

/** A consensus group; each shard is one, under the shard's name. */
export interface GroupView {
  readonly name: string;
  readonly id: number;
  /** Does raft-kv itself need it? */
  readonly system: boolean;
  readonly leader: string | null;
  /** Names of the voters, the preferred leader first. */
  readonly members: readonly string[];
  /** Names of the members without a vote. */
  readonly learners: readonly string[];
  readonly replicas: number;
  readonly state: "ok" | "no leader" | "moving" | "new" | "removing";
}

/** A keyspace, with the figures that its shards last reported. */
export interface KeyspaceView {
  readonly name: string;
  readonly shards: number;
  readonly keys: number;
  readonly size: number;
  readonly load: number;
  /** Replicas of each shard. */
  readonly replicas: number;
  /** Its `SplitMergePolicy`. */
  readonly policy: { readonly [field: string]: number };
}

/** What is known of a shard. */
export interface ShardInformation {
  /** `<keyspace>_<start>`. */
  readonly name: string;
  /** First hash value of its range, 0 to 2^27 - 1. */
  readonly start: number;
  /** First hash value behind its range. */
  readonly end: number;
  /** Name of the node that leads it, `null` when none is known. */
  readonly leader: string | null;
  /**
   * Names of the nodes that vote in it, the preferred leader first: as its leader says, or, where it
   * does not answer, as they are to be.
   */
  readonly members: readonly string[];
  /** Number of keys. */
  readonly keys: number;
  /** Sum of the sizes that commands returned, in the user's unit. */
  readonly size: number;
  /** Load of the last statistics interval, in the user's unit. */
  readonly load: number;
  /** `serving`, or what it does in a split or merge; `unknown`: nobody who has it answered. */
  readonly state: string;
  /** The longest time a split or merge closed a range of this shard for, in milliseconds. */
  readonly longestPause: number;
}

/** A shard in the order of load. */
export interface HotShard {
  readonly shard: string;
  readonly keyspace: string;
  readonly leader: string | null;
  readonly keys: number;
  readonly size: number;
  /** Load in the last statistics interval, in the module's unit. */
  readonly load: number;
  /** How far it has filled its policy: above 1 it is due to be split. */
  readonly filled: number;
}

/** The shards under the greatest load. */
export interface TopView {
  /** The interval that loads count for, in milliseconds. */
  readonly intervalMs: number;
  readonly shards: readonly HotShard[];
}

/** A leader was moved. */
export interface TransferredLeader {
  readonly group: string;
  readonly leader: string;
}

/** How far a node is drained. */
export interface DrainView {
  readonly node: string;
  /** Groups that still count on the node. */
  readonly left: number;
  readonly done: boolean;
}

/** May a node be stopped without any group losing its majority? */
export interface SafetyView {
  readonly node: string;
  readonly safe: boolean;
  /** Groups that would not go on, and why. */
  readonly reasons: readonly { readonly group: string; readonly reason: string }[];
}

/** The state of one replica at an index of its group's log. */
export interface ReplicaChecksum {
  readonly node: string;
  /** 16 hexadecimal digits; `null` when the node did not say one in time. */
  readonly checksum: string | null;
}

/** The replicas of a group, compared at one index of its log. */
export interface GroupChecksums {
  readonly group: string;
  /** `null` when the group took no command. */
  readonly index: number | null;
  readonly replicas: readonly ReplicaChecksum[];
  /** "incomplete": those that answered are equal, and some did not. */
  readonly result: "equal" | "different" | "incomplete";
}

/** Are the replicas of all shards and programs' groups the same? */
export interface VerifyView {
  /** Every replica answered, and all replicas of each group are equal. */
  readonly verified: boolean;
  readonly groups: readonly GroupChecksums[];
}

/** A finished split or merge. */
export interface MovedShard {
  /** The shard that gave keys away; after a merge it is gone. */
  readonly from: string;
  /** The shard that took them. */
  readonly to: string;
}

/** What is stored under a key. */
export interface StoredValue {
  readonly found: boolean;
  /** The value; `null` when there is none. */
  readonly value: Json;
  /** Its size as the module's command returned it. */
  readonly size: number;
  readonly shard: string;
}

/** A page of keys. */
export interface KeysView {
  readonly keys: readonly Json[];
  /** What to give as `from` for the next page; `null` after the last. */
  readonly next: number | null;
}

/** What `recoverGroups` is called with. */
export interface RecoverOptions {
  /** Names of the nodes that are lost for good. */
  readonly lostNodes: readonly string[];
  /** Has to be `true`: what only the lost nodes held is given up. */
  readonly acceptDataLoss: true;
}

/** What became of a group that had members on lost nodes. */
export interface RecoveredGroup {
  readonly group: string;
  /**
   * `kept`: a majority survived, nothing is lost; `recovered`: it goes on with what one survivor
   * had; `lost`: no survivor had a replica, all its data is gone; `waiting`: not yet possible.
   */
  readonly action: "kept" | "recovered" | "lost" | "waiting";
  /** The node whose replica a recovered group goes on with. */
  readonly node: string | null;
  /** Index of the last entry of that replica's log: later ones, if there were any, are lost. */
  readonly lastIndex: number | null;
  /** May something that was acknowledged be gone? */
  readonly mayHaveLostData: boolean;
  /** The same for people, and for `waiting` what to do. */
  readonly explanation: string;
}

/** What `recoverGroups` did. */
export interface RecoveryResult {
  /** The nodes that the cluster has dropped. */
  readonly droppedNodes: readonly string[];
  /** The groups that had members on them. */
  readonly groups: readonly RecoveredGroup[];
}
