/**
 * What carrying out workflows needs from the rest of the node. Tests put real state machines behind
 * it, the node its client.
 */
import type { DirectoryCommand, DirectoryReply } from "../directory/commands.ts";
import type { DirectoryState, KeyspaceEntry } from "../directory/state.ts";
import type { GroupReference } from "../directory/workflow.ts";
import type { FleetReplies } from "../fleet/commands.ts";
import type { Refusal } from "../machine/machine.ts";
import type { ShardCommand, ShardRead, ShardReadReply, ShardReply } from "../shard/requests.ts";

/** A shard's group to be made. */
export interface CreateGroup extends GroupReference {
  readonly keyspace: KeyspaceEntry;
  /** A keyspace's first shard owns the whole hash space, any other waits for its range. */
  readonly role: "first" | "receiver";
}

/** Stops a timer that has not fired yet. */
export type Cancel = () => void;

/** Time, as the leader of the directory sees it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds of a clock that never goes back, with fractions: for durations. */
  elapsed(): number;
  /** Calls back once after so many milliseconds. */
  schedule(delay: number, callback: () => void): Cancel;
}

/**
 * What workflows act through. Every call may be repeated with the same effect; a call that can't be
 * carried out at present rejects, and is tried again later.
 */
export interface WorkflowPorts extends Clock {
  /** This node's id. */
  readonly node: number;
  /** The directory as this node, its leader, has applied it. */
  directory(): DirectoryState;
  /** A command to the directory; resolves once it is applied here. */
  command(command: DirectoryCommand): Promise<DirectoryReply>;
  /** Adds a group to the fleet, or says that this token has added it already. */
  createGroup(request: CreateGroup): Promise<FleetReplies["addGroup"]>;
  /** Has the fleet remove the group that this token added, or will add. */
  removeGroup(group: GroupReference): Promise<void>;
  /** A command to a shard, replicated and applied once. */
  shardCommand(group: number, command: ShardCommand): Promise<ShardReply | Refusal>;
  /** A linearizable read of a shard. */
  shardRead(group: number, read: ShardRead): Promise<ShardReadReply | Refusal>;
  /** Brings the nodes' routes of a keyspace to what the directory says now. */
  publishRoutes(keyspace: string): Promise<void>;
  /** Tells the user's program. */
  emit(event: WorkflowEvent): void;
}

/** A finished split or merge. */
export interface TransferEvent {
  readonly type: "split" | "merge";
  readonly keyspace: string;
  readonly sender: string;
  readonly receiver: string;
  /** The range that moved. */
  readonly start: number;
  readonly end: number;
  /** How long keys of the range waited; `null` when another node or process handed over. */
  readonly pauseMs: number | null;
}

/** Something that goes wrong, or went: for logs and the event `warning`. */
export interface WorkflowWarning {
  readonly type: "warning";
  readonly keyspace: string;
  readonly message: string;
}

/** What the executor tells. */
export type WorkflowEvent = TransferEvent | WorkflowWarning;

/** What a single step acts through. */
export type StepPorts = Pick<
  WorkflowPorts,
  | "directory"
  | "createGroup"
  | "removeGroup"
  | "shardCommand"
  | "shardRead"
  | "publishRoutes"
  | "elapsed"
>;

/** The same ports, which begin nothing more once `goesOn` says so. */
export function stoppable(ports: WorkflowPorts, goesOn: () => boolean): StepPorts {
  const check = () => {
    if (!goesOn()) throw new Error("the workflow is not carried out here any more");
  };
  return {
    directory: () => ports.directory(),
    elapsed: () => ports.elapsed(),
    createGroup: async (request) => {
      check();
      return ports.createGroup(request);
    },
    removeGroup: async (group) => {
      check();
      return ports.removeGroup(group);
    },
    shardCommand: async (group, command) => {
      check();
      return ports.shardCommand(group, command);
    },
    shardRead: async (group, read) => {
      check();
      return ports.shardRead(group, read);
    },
    publishRoutes: async (keyspace) => {
      check();
      return ports.publishRoutes(keyspace);
    },
  };
}
