/** What the fleet is asked, and what it answers. All of it is plain data. */
import type { FleetGroup, FleetImage, FleetNode, GroupSettings } from "./state.ts";

/** A node as it presents itself when it joins. */
export type JoiningNode = Pick<
  FleetNode,
  "id" | "name" | "zone" | "address" | "version" | "incarnation" | "modules"
>;

/** A command to the fleet. `now` is the sender's clock, milliseconds since 1970. */
export type FleetCommand =
  /**
   * Names the cluster; only the first one counts, the reply says what it is called. `founder` is
   * the only member of the fleet's group at that moment.
   */
  | { readonly type: "foundCluster"; readonly clusterId: string; readonly founder: number }
  | AddGroup
  | RemoveGroup
  /** A node that held a replica of a group that is being removed has deleted it. */
  | { readonly type: "confirmRemoved"; readonly group: number; readonly node: number }
  | ConfirmTargets
  | ConfirmMembers
  | KeepMembers
  | PreferLeader
  /** Sets the next target of at most `limit` groups that are not placed as they should be. */
  | { readonly type: "balance"; readonly limit: number }
  | NodeCommand;

/** A command about a node. */
export type NodeCommand =
  /** Adds a node, or brings one back with its new address, incarnation and modules. */
  | { readonly type: "joinNode"; readonly node: JoiningNode; readonly now: number }
  /** The node's members are to move away; it is dropped once it has none. */
  | LeaveNode
  /** The node's program has bound further modules. */
  | { readonly type: "bindModules"; readonly node: number; readonly modules: readonly string[] }
  /** The node is to hold no voters any more, or may hold some again. */
  | { readonly type: "drainNode"; readonly node: number; readonly drained: boolean }
  /** The fleet's leader has not reached the node since then. */
  | { readonly type: "markUnreachable"; readonly node: number; readonly since: number }
  /** The fleet's leader has reached the node. */
  | { readonly type: "markReachable"; readonly node: number; readonly now: number }
  | PurgeNode
  /** Nodes are lost for good, as an operator says: groups and fleet go on without them at once. */
  | { readonly type: "dropLostNodes"; readonly nodes: readonly number[] };

/** The node leaves; a message about an earlier incarnation than the node's is ignored. */
export interface LeaveNode {
  readonly type: "leaveNode";
  readonly node: number;
  readonly incarnation?: number;
  readonly now: number;
}

/** Replaces a node that was marked unreachable for `window` milliseconds or longer. */
export interface PurgeNode {
  readonly type: "purgeNode";
  readonly node: number;
  readonly window: number;
  readonly now: number;
}

/** A group's leader has brought its members to the target of this version. */
export interface ReachedTarget {
  readonly group: number;
  readonly version: number;
  /** The voters as they are. */
  readonly members: readonly number[];
}

/** Leaders have brought the members of their groups to these targets. */
export interface ConfirmTargets {
  readonly type: "confirmTargets";
  readonly targets: readonly ReachedTarget[];
}

/** The same of one group: logs hold it, and nothing sends it any more. */
export interface ConfirmMembers extends ReachedTarget {
  readonly type: "confirmMembers";
}

/**
 * The group's leader cannot reach the target of this version, because a voter that it would add
 * does not answer: the voters stay as they are, and the next target starts from there.
 */
export interface KeepMembers {
  readonly type: "keepMembers";
  readonly group: number;
  readonly version: number;
  /** The voters as they are. */
  readonly members: readonly number[];
}

/** One of the group's voters is to lead it from now on, for as long as it is placed there. */
export interface PreferLeader {
  readonly type: "preferLeader";
  readonly name: string;
  readonly node: number;
}

/** Adds a group. The same token again gives the same answer, as long as the group exists. */
export interface AddGroup {
  readonly type: "addGroup";
  readonly name: string;
  readonly replicas: number;
  /** Every node that has the code becomes a member; `replicas` does not count. */
  readonly system?: boolean;
  readonly module: string;
  readonly settings: GroupSettings;
  readonly token: string;
}

/** Removes a group: only the one that this token added, when a token is given. */
export interface RemoveGroup {
  readonly type: "removeGroup";
  readonly name: string;
  readonly token?: string;
}

/** Why the fleet did not do what it was asked. */
export type FleetErrorCode =
  | "CLUSTER_MISMATCH"
  | "ALREADY_ADDED"
  | "CLEANUP_ONGOING"
  | "MODULE_NOT_BOUND"
  | "NOT_FOUND"
  | "INVALID_ARGUMENT"
  | "INVALID_OPTION";

/** A command that changed nothing, and why. */
export interface FleetError {
  readonly ok: false;
  readonly code: FleetErrorCode;
  readonly message: string;
}

/** The reply to each type of command. */
export interface FleetReplies {
  foundCluster: { readonly ok: true; readonly clusterId: string };
  joinNode: { readonly ok: true } | FleetError;
  leaveNode: { readonly ok: true } | FleetError;
  bindModules: { readonly ok: true } | FleetError;
  drainNode: { readonly ok: true } | FleetError;
  addGroup:
    | { readonly ok: true; readonly group: number; readonly members: readonly number[] }
    | FleetError;
  removeGroup: { readonly ok: true; readonly group: number } | FleetError;
  confirmRemoved: { readonly ok: true };
  confirmTargets: { readonly ok: true };
  confirmMembers: { readonly ok: true };
  keepMembers: { readonly ok: true };
  preferLeader: { readonly ok: true } | FleetError;
  /** How many targets were set. */
  balance: { readonly ok: true; readonly retargeted: number };
  markUnreachable: { readonly ok: true };
  markReachable: { readonly ok: true };
  purgeNode: { readonly ok: true };
  dropLostNodes: { readonly ok: true };
}

/** Any reply. */
export type FleetReply = FleetReplies[FleetCommand["type"]];

/** A read of the fleet's state. */
export type FleetQuery =
  | { readonly type: "state" }
  | { readonly type: "nodes" }
  | { readonly type: "groups" }
  | { readonly type: "group"; readonly name: string };

/** The answer to each type of query. */
export interface FleetAnswers {
  state: FleetImage;
  nodes: readonly FleetNode[];
  groups: readonly FleetGroup[];
  group: FleetGroup | null;
}

/** Any answer. */
export type FleetAnswer = FleetAnswers[FleetQuery["type"]];
