/** What administration needs of an active node; `api/` implements it. */
import type { Key } from "../codec/key.ts";
import type { DirectoryCommand, DirectoryReplies } from "../directory/commands.ts";
import type { DirectoryState } from "../directory/state.ts";
import type { FleetCommand } from "../fleet/commands.ts";
import type { FleetState } from "../fleet/state.ts";
import type { KeyHash } from "../native/engine-types.ts";
import type { ShardCommand, ShardRead, ShardReadReply, ShardReply } from "../shard/requests.ts";
import type { BackupReadings } from "./backup/readings.ts";
import type { NodeReports } from "./reports.ts";
import type { ShardInformation } from "./types.ts";

/** See the head of this file. */
export interface AdminPorts {
  /** This node's id. */
  readonly node: number;
  readonly clusterName: string;
  /** The interval that loads count for, in milliseconds. */
  readonly statsInterval: number;
  readonly reports: NodeReports;
  readonly readings: BackupReadings;
  /** The fleet's state as this node knows it. */
  fleet(): FleetState;
  /** The directory's state as this node knows it. @throws `NOT_ACTIVE` before `RaftKV.init` */
  directory(): DirectoryState;
  /** Did this node's program call `RaftKV.init`? */
  readonly hasDirectory: boolean;
  /** The nodes that do not answer this one, and since when. */
  unreachable(): Map<number, Date>;
  /** The name of a node. */
  nameOf(node: number): string;
  /** Who leads a group, 0 = nobody that is known. */
  leader(group: number): Promise<number>;
  /** A command to the fleet. @throws what the fleet refused it with */
  fleetCommand(command: FleetCommand): Promise<void>;
  /** A command to the directory. @throws what the directory refused it with */
  directoryCommand<C extends DirectoryCommand>(
    command: C,
  ): Promise<Extract<DirectoryReplies[C["type"]], { ok: true }>>;
  /** Has each replica of a group compute a checksum of its state; the index at which they do. */
  beginChecksums(group: number): Promise<number>;
  /** Who sends directory commands, and its clock. */
  ownership(): { readonly node: number; readonly now: number; readonly lockPeriod: number };
  /** A linearizable read of a shard. */
  shardRead(group: number, read: ShardRead): Promise<ShardReadReply>;
  /** A command to a shard as a whole. @throws when it refuses, and when nobody answers */
  shardCommand(group: number, command: ShardCommand): Promise<ShardReply>;
  /** The hash of an encoded key in a keyspace, `null` when there is no such keyspace. */
  hashOf(keyspace: number, key: Uint8Array): KeyHash | null;
  /** Has the program of some node the code of a keyspace? */
  isBound(keyspace: string): boolean;
  /** Registers a keyspace unless it is; resolves when it serves. @throws `NO_LEADER` ... */
  register(name: string, policy: Readonly<Record<string, number>>, replicas: number): Promise<void>;
  /** Reads what a shard stores under a key, wherever the key is. */
  value(keyspace: string, key: Key): Promise<{ value: unknown; size: number; shard: string }>;
  shards(keyspace: string): Promise<readonly ShardInformation[]>;
  /** About `limit` keys with hashes from `from` on; `next` is where to read on. */
  keys(
    keyspace: string,
    from: number,
    limit: number,
  ): Promise<{ readonly keys: readonly unknown[]; readonly next: number }>;
  command(keyspace: string, key: Key, argument: unknown): Promise<unknown>;
  query(keyspace: string, key: Key, argument: unknown): Promise<unknown>;
  /** @throws `CLOSED` once the node is being closed */
  checkOpen(): void;
}
