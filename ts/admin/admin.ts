/**
 * The functions of `RaftFleet.admin`: what an operator looks at and does, from any node for all.
 * Each is a verb of the command line as well. Every function rejects with a `RaftKVError`.
 */
import { verifyBackup } from "../backup/reader.ts";
import { restoreBackup } from "../backup/restore.ts";
import { saveBackup } from "../backup/save.ts";
import type { BackupOptions, BackupView, RestoreOptions, RestoreView } from "../backup/types.ts";
import { RaftKVError } from "../errors.ts";
import { HASH_END, KEYS_PAGE, TOP_SHARDS_MAX } from "../limits.ts";
import { checkRestoreOptions, checkWorkOptions } from "./backup/options.ts";
import { ClusterSource } from "./backup/source.ts";
import { ClusterTarget } from "./backup/target.ts";
import { command, get, type KeysOptions, keys, query } from "./data.ts";
import { findKeyspace } from "./finding.ts";
import { type DrainOptions, drain, safeToStop, transferLeader } from "./moves.ts";
import { groups, keyspaceViews, nodes, status, top } from "./overview.ts";
import type { AdminPorts } from "./ports.ts";
import { sysdump } from "./sysdump.ts";
import { mergeShard, splitShard } from "./transfers.ts";
import type {
  DrainView,
  GroupView,
  Json,
  KeyspaceView,
  KeysView,
  MovedShard,
  NodeView,
  RecoverOptions,
  RecoveryResult,
  SafetyView,
  ShardInformation,
  StatusView,
  StoredValue,
  TopView,
  TransferredLeader,
  VerifyView,
} from "./types.ts";
import { verify } from "./verify.ts";

/** `RaftFleet.recoverGroups` of the node. */
export type Recover = (options: RecoverOptions) => Promise<RecoveryResult>;

/** See the head of this file. */
export class AdminFunctions {
  private readonly ports: () => AdminPorts;
  private readonly recoverGroups: Recover;

  /** `ports` gives those of the active node, or throws `NOT_ACTIVE`. */
  constructor(ports: () => AdminPorts, recoverGroups: Recover) {
    this.ports = ports;
    this.recoverGroups = recoverGroups;
  }

  /** The cluster at a glance, with everything that is not as it should be. */
  async status(): Promise<StatusView> {
    return status(this.ports());
  }

  /** All nodes, by zone and name. */
  async nodes(): Promise<NodeView[]> {
    return nodes(this.ports());
  }

  /** All consensus groups: raft-kv's own first, then users' groups and shards by name. */
  async groups(): Promise<GroupView[]> {
    return groups(this.ports());
  }

  /** All keyspaces, by name. @throws `NOT_ACTIVE` before `RaftKV.init` */
  async keyspaces(): Promise<KeyspaceView[]> {
    return keyspaceViews(this.ports().directory());
  }

  /** The shards of a keyspace, in the order of their ranges. @throws `NO_SUCH_KEYSPACE` */
  async shards(keyspace: string): Promise<readonly ShardInformation[]> {
    const ports = this.ports();
    return ports.shards(findKeyspace(ports, text("keyspace", keyspace)).name);
  }

  /** The shards under the greatest load. @param limit - how many, 20 by default */
  async top(limit = 20): Promise<TopView> {
    return top(this.ports(), whole("limit", limit, 1, TOP_SHARDS_MAX));
  }

  /**
   * Has one of a group's voters lead it, and be the one that is preferred as long as it is a voter.
   * Resolves once it leads.
   *
   * @param group - a consensus group's or a shard's name
   * @param node - a node's name or address
   * @throws `NOT_FOUND`; `INVALID_ARGUMENT` when the node is no voter or out of reach; `TIMEOUT`
   */
  async transferLeader(group: string, node: string): Promise<TransferredLeader> {
    return transferLeader(this.ports(), text("group", group), text("node", node));
  }

  /**
   * Has other nodes take over everything that a node holds. The node goes on serving its callers,
   * and may then be stopped; when it is activated again, it is used as before.
   *
   * @param node - a node's name or address
   * @throws `NOT_FOUND`; `INVALID_ARGUMENT` when no other node could take over; `TIMEOUT`
   */
  async drain(node: string, options: DrainOptions = {}): Promise<DrainView> {
    return drain(this.ports(), text("node", node), options);
  }

  /** Says whether all groups keep a majority while a node is stopped. @throws `NOT_FOUND` */
  async safeToStop(node: string): Promise<SafetyView> {
    return safeToStop(this.ports(), text("node", node));
  }

  /**
   * Splits a shard in the middle of its hash range; resolves when that is done. The policy goes on
   * working: it merges what is small enough, unless `minShards` keeps it from that.
   *
   * @throws `NO_SUCH_SHARD`; `SHARD_BUSY` while a split or merge runs there, or as many as may run;
   * `SPLIT_IMPOSSIBLE` for a shard with a single key, or at `maxShards`; `TIMEOUT`
   */
  async split(shard: string): Promise<MovedShard> {
    return splitShard(this.ports(), text("shard", shard));
  }

  /**
   * Merges a shard into its left neighbour; resolves when that is done. The policy goes on working:
   * it splits what is too large.
   *
   * @throws `NO_SUCH_SHARD`; `SHARD_BUSY`; `MERGE_IMPOSSIBLE` for a keyspace's first shard, or at
   * `minShards`; `TIMEOUT`
   */
  async merge(shard: string): Promise<MovedShard> {
    return mergeShard(this.ports(), text("shard", shard));
  }

  /**
   * Compares all replicas of every shard and every program's group at the same index of their log.
   * It costs a pass over each replica's state. The comparisons that run by themselves deal with what
   * differs, and tell of it by the event `replicaDivergence`. With `group`, the name of a shard or
   * group, its replicas alone are compared. @throws `NOT_FOUND`
   */
  async verify(group?: string): Promise<VerifyView> {
    return verify(this.ports(), group === undefined ? undefined : text("group", group));
  }

  /** What is stored under a key, as JSON; the module is not asked. @throws `NO_SUCH_KEYSPACE` */
  async get(keyspace: string, key: Json): Promise<StoredValue> {
    return get(this.ports(), text("keyspace", keyspace), key);
  }

  /** Runs the module's command on a key, with JSON. @throws as `RaftKV.command` */
  async command(keyspace: string, key: Json, argument?: Json): Promise<Json> {
    return command(this.ports(), text("keyspace", keyspace), key, argument);
  }

  /** Asks the module's query about a key, with JSON. @throws as `RaftKV.query` */
  async query(keyspace: string, key: Json, argument?: Json): Promise<Json> {
    return query(this.ports(), text("keyspace", keyspace), key, argument);
  }

  /** A page of a keyspace's keys, as JSON, in the order of their hashes. */
  async keys(keyspace: string, options: KeysOptions = {}): Promise<KeysView> {
    return keys(this.ports(), text("keyspace", keyspace), {
      from: whole("from", options.from ?? 0, 0, HASH_END),
      limit: whole("limit", options.limit ?? KEYS_PAGE, 1, KEYS_PAGE),
    });
  }

  /**
   * Writes a backup of the keyspaces into a directory of this machine, while callers go on. Each
   * shard is in it as it was at one index of its log, with everything that was acknowledged before
   * the backup began; different shards are there at different moments. Consensus groups that
   * programs added are not in it, nor is what retries of commands are told from.
   *
   * @param directory - does not exist yet, or is empty; it gets its name once the backup is whole
   * @throws `INVALID_ARGUMENT` for a directory in use; `NO_SUCH_KEYSPACE`; `BACKUP_FAILED` when
   * files cannot be written; `NO_LEADER` when a shard has no leader for long; `DATA_CLONE` for a
   * value too large to be restored; `ABORTED`
   */
  async backup(directory: string, options: BackupOptions = {}): Promise<BackupView> {
    const given = checkWorkOptions(options);
    return saveBackup(new ClusterSource(this.ports()), text("directory", directory), given);
  }

  /**
   * Checks every byte of a backup and says what it holds. Needs no cluster and no active node.
   *
   * @throws `BACKUP_DAMAGED`, which names the file and what is wrong with it; `BACKUP_FAILED`
   */
  async backupStatus(
    directory: string,
    options: Pick<BackupOptions, "onProgress" | "signal"> = {},
  ): Promise<BackupView> {
    const given = checkWorkOptions(options);
    return verifyBackup(text("directory", directory), given);
  }

  /**
   * Restores a backup into this cluster, whatever its nodes and shards are. All of it is checked
   * before anything is placed. Keyspaces that do not exist are registered with the policy they had;
   * values are placed as they are, and no module or hook is called. Keys that exist with the same
   * value count as restored, so that a restore that was interrupted may be run again.
   *
   * @throws `BACKUP_DAMAGED`, `BACKUP_FAILED`; `RESTORE_CONFLICT` for a key that exists with
   * another value, unless `overwrite`: what was placed before stays; `MODULE_NOT_BOUND` when no
   * node has the code of a keyspace; `INVALID_ARGUMENT` while nodes run different versions;
   * `NO_LEADER`; `ABORTED`
   */
  async restore(directory: string, options: RestoreOptions = {}): Promise<RestoreView> {
    const given = checkRestoreOptions(options);
    return restoreBackup(text("directory", directory), new ClusterTarget(this.ports()), given);
  }

  /**
   * `RaftFleet.recoverGroups`: the cluster goes on without nodes that are lost for good. A node's
   * name may be given without `node-`.
   */
  async recover(options: RecoverOptions): Promise<RecoveryResult> {
    const { lostNodes } = Object(options) as { readonly lostNodes?: unknown };
    if (!Array.isArray(lostNodes)) return this.recoverGroups(options);
    const whole = (name: unknown) =>
      typeof name === "string" && !name.startsWith("node-") ? `node-${name}` : name;
    return this.recoverGroups({ ...options, lostNodes: lostNodes.map(whole) as string[] });
  }

  /**
   * Everything that helps somebody else to find out what is wrong: states, settings, statistics and
   * the last log lines of all nodes that answer. No keys, values or secrets are in it.
   */
  async sysdump(): Promise<Json> {
    return sysdump(this.ports());
  }
}

function text(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw wrong(`${name} has to be a text that is not empty`);
}

function whole(name: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number;
  }
  throw wrong(`${name} has to be a whole number from ${least} to ${most}`);
}

function wrong(message: string): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}
