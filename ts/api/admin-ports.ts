/** What administration is given of this node. */
import type { AdminPorts } from "../admin/ports.ts";
import type { ShardInformation } from "../admin/types.ts";
import { type CallSettings, DEFAULT_CALL } from "../client/call.ts";
import { FOR_HOSTS, groupRoute } from "../client/outbox.ts";
import type { Key } from "../codec/key.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import type { DirectoryCommand, DirectoryReplies } from "../directory/commands.ts";
import { DIRECTORY_NAME, type DirectoryState } from "../directory/state.ts";
import { RaftKVError } from "../errors.ts";
import type { FleetCommand } from "../fleet/commands.ts";
import type { FleetState } from "../fleet/state.ts";
import { EncodedResult, Refusal } from "../machine/machine.ts";
import type {
  ShardCommand,
  ShardRead,
  ShardReadReply,
  ShardReply,
  ValueReply,
} from "../shard/requests.ts";
import { checkKeyspaceName, checkPolicy, checkReplicas } from "./checks.ts";
import type { Core } from "./core.ts";
import type { KeyspaceService } from "./keyspace-service.ts";
import { keyspaceModule, type LocalKeyspaces } from "./keyspaces.ts";

/** A command with megabytes of entries may take long on a busy disk. */
const SHARD_COMMAND_CALL: CallSettings = {
  ...DEFAULT_CALL,
  timeout: 5_000,
  retry: 2,
  retryInterval: 200,
};

/** Where the ports find what `init` starts. */
export type FindService = () => Promise<KeyspaceService>;

/** See the head of this file. */
export class NodeAdminPorts implements AdminPorts {
  readonly node: number;
  readonly clusterName: string;
  readonly statsInterval: number;
  readonly reports: AdminPorts["reports"];
  readonly readings: AdminPorts["readings"];
  private readonly core: Core;
  private readonly keyspaces: LocalKeyspaces;
  private readonly service: FindService;

  constructor(core: Core, keyspaces: LocalKeyspaces, service: FindService) {
    this.core = core;
    this.keyspaces = keyspaces;
    this.service = service;
    this.node = core.nodeId;
    this.clusterName = core.settings.clusterName;
    this.statsInterval = core.settings.statsCollectionInterval;
    this.reports = core.reports;
    this.readings = core.readings;
  }

  get hasDirectory(): boolean {
    return this.keyspaces.directory !== undefined;
  }

  fleet(): FleetState {
    return this.core.fleet;
  }

  directory(): DirectoryState {
    const state = this.keyspaces.directory;
    if (state !== undefined) return state;
    throw new RaftKVError("NOT_ACTIVE", "this node's program has not called RaftKV.init()", {
      outcome: "not applied",
    });
  }

  unreachable(): Map<number, Date> {
    return this.core.duties.unreachableNodes();
  }

  nameOf(node: number): string {
    return this.core.nameOf(node);
  }

  leader(group: number): Promise<number> {
    return this.core.reads.leader(group, DEFAULT_CALL);
  }

  async fleetCommand(command: FleetCommand): Promise<void> {
    await this.core.fleetCommand(command);
  }

  async directoryCommand<C extends DirectoryCommand>(
    command: C,
  ): Promise<Extract<DirectoryReplies[C["type"]], { ok: true }>> {
    const group = this.core.group(DIRECTORY_NAME);
    if (group === undefined) throw new RaftKVError("NOT_FOUND", "there is no directory yet");
    const reply = (await this.core.command(group.id, command)) as DirectoryReplies[C["type"]];
    if (reply.ok === false) {
      throw new RaftKVError(reply.code, reply.message, { outcome: "not applied" });
    }
    return reply as Extract<DirectoryReplies[C["type"]], { ok: true }>;
  }

  async beginChecksums(group: number): Promise<number> {
    const begin = this.core.client.command(groupRoute(group), FOR_HOSTS, { type: "begin" });
    return Number(await begin);
  }

  ownership() {
    const { workflowLockPeriod } = this.core.settings;
    return { node: this.node, now: Date.now(), lockPeriod: workflowLockPeriod };
  }

  async shardRead(group: number, read: ShardRead): Promise<ShardReadReply> {
    const result = await this.core.reads.read(group, encodeValue(read), DEFAULT_CALL, {});
    if (result instanceof EncodedResult) return decodeValue(result.bytes) as ShardReadReply;
    const message = result instanceof Refusal ? result.message : "a shard gave a plain value";
    throw new RaftKVError("INTERNAL", message);
  }

  async shardCommand(group: number, command: ShardCommand): Promise<ShardReply> {
    return (await this.core.command(group, command, SHARD_COMMAND_CALL)) as ShardReply;
  }

  hashOf(keyspace: number, key: Uint8Array) {
    return this.core.engine.hashKey(keyspace, key);
  }

  isBound(keyspace: string): boolean {
    const module = keyspaceModule(keyspace);
    return [...this.core.fleet.nodes.values()].some(({ modules }) => modules.includes(module));
  }

  async register(name: string, policy: Readonly<Record<string, number>>, replicas: number) {
    checkKeyspaceName(name);
    checkReplicas(replicas, "INVALID_ARGUMENT");
    const fields = checkPolicy(policy);
    await (await this.service()).registerIfMissing(name, fields, { replicas });
  }

  async value(keyspace: string, key: Key) {
    const local = this.keyspaces.get(keyspace);
    const { hash, reply } = await local.queries.stored(key);
    const { value, size } = reply as ValueReply;
    const shards = this.directory().keyspaces.get(keyspace)?.shards ?? [];
    const shard = shards.find(({ start, end }) => start <= hash && hash < end);
    return { value, size, shard: shard?.name ?? "" };
  }

  async shards(keyspace: string): Promise<readonly ShardInformation[]> {
    return (await this.service()).shards(keyspace);
  }

  async keys(keyspace: string, from: number, limit: number) {
    return (await this.service()).keysFrom(keyspace, from, limit);
  }

  command(keyspace: string, key: Key, argument: unknown): Promise<unknown> {
    const { number } = this.keyspaces.get(keyspace);
    return this.core.client.command(number, key, argument);
  }

  query(keyspace: string, key: Key, argument: unknown): Promise<unknown> {
    return this.keyspaces.get(keyspace).queries.query(key, argument);
  }

  checkOpen(): void {
    this.core.checkOpen();
  }
}
