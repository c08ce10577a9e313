/** What workflows act through on this node: its client, its fleet and its replicas. */

import { type CallSettings, DEFAULT_CALL } from "../client/call.ts";
import { refusalOf } from "../client/failure.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import type { DirectoryCommand, DirectoryReply } from "../directory/commands.ts";
import type { DirectoryState } from "../directory/state.ts";
import type { GroupReference } from "../directory/workflow.ts";
import { RaftKVError } from "../errors.ts";
import type { FleetReplies } from "../fleet/commands.ts";
import { EncodedResult, Refusal } from "../machine/machine.ts";
import type { ShardCommand, ShardRead, ShardReadReply, ShardReply } from "../shard/requests.ts";
import type { Cancel, CreateGroup, WorkflowEvent, WorkflowPorts } from "../workflow/ports.ts";
import type { Core } from "./core.ts";
import {
  keyspaceModule,
  type LocalKeyspaces,
  type ShardSettings,
  WHOLE_RANGE,
} from "./keyspaces.ts";
import { schedule } from "./schedule.ts";

/** A read waits for the shard's leader for five seconds in all. */
const SHARD_READ_CALL: CallSettings = {
  ...DEFAULT_CALL,
  timeout: 1000,
  retry: 4,
  retryInterval: 0,
};

/** See the head of this file. */
export class NodePorts implements WorkflowPorts {
  readonly node: number;
  private readonly core: Core;
  private readonly keyspaces: LocalKeyspaces;
  private readonly directoryGroup: number;
  private readonly tell: (event: WorkflowEvent) => void;

  constructor(
    core: Core,
    keyspaces: LocalKeyspaces,
    directoryGroup: number,
    tell: (event: WorkflowEvent) => void,
  ) {
    this.core = core;
    this.keyspaces = keyspaces;
    this.directoryGroup = directoryGroup;
    this.tell = tell;
    this.node = core.nodeId;
  }

  now(): number {
    return Date.now();
  }

  elapsed(): number {
    return performance.now();
  }

  schedule(delay: number, callback: () => void): Cancel {
    return schedule(delay, callback);
  }

  directory(): DirectoryState {
    const state = this.keyspaces.directory;
    if (state === undefined) throw new RaftKVError("NOT_ACTIVE", "the directory is not open");
    return state;
  }

  async command(command: DirectoryCommand): Promise<DirectoryReply> {
    return (await this.core.command(this.directoryGroup, command)) as DirectoryReply;
  }

  async createGroup({
    keyspace,
    role,
    name,
    token,
  }: CreateGroup): Promise<FleetReplies["addGroup"]> {
    const range = role === "first" ? WHOLE_RANGE : null;
    const settings: ShardSettings = { keyspace: keyspace.name, range };
    const { replicas } = keyspace.settings;
    const reply = (await this.core.fleetRequest({
      type: "addGroup",
      name,
      replicas,
      module: keyspaceModule(keyspace.name),
      settings: { ...settings },
      token,
    })) as FleetReplies["addGroup"];
    const group = reply.ok ? this.core.group(name) : undefined;
    if (group !== undefined) await this.core.groups.ready(group);
    return reply;
  }

  async removeGroup({ name, token }: GroupReference): Promise<void> {
    await this.core.fleetRequest({ type: "removeGroup", name, token });
  }

  async shardCommand(group: number, command: ShardCommand): Promise<ShardReply | Refusal> {
    try {
      return (await this.core.command(group, command)) as ShardReply;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return refusal;
    }
  }

  async shardRead(group: number, read: ShardRead): Promise<ShardReadReply | Refusal> {
    const { reads } = this.core;
    const result = await reads.read(group, encodeValue(read), SHARD_READ_CALL, {});
    if (result instanceof Refusal) return result;
    if (result instanceof EncodedResult) return decodeValue(result.bytes) as ShardReadReply;
    throw new RaftKVError("INTERNAL", "a shard answered a read with a plain value");
  }

  async publishRoutes(): Promise<void> {
    this.keyspaces.directoryChanged();
  }

  emit(event: WorkflowEvent): void {
    this.tell(event);
  }
}
