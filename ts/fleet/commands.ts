/** What the fleet is asked, and what it answers. All of it is plain data. */
import type { FleetGroup, FleetNode, FleetState, GroupSettings } from "./state.ts";

/** A node as it presents itself when it joins. */
export type JoiningNode = Pick<
  FleetNode,
  "id" | "name" | "zone" | "address" | "version" | "incarnation" | "modules"
>;

/** A command to the fleet. `now` is the sender's clock, milliseconds since 1970. */
export type FleetCommand =
  /** Names the cluster; only the first one counts, the reply says what it is called. */
  | { readonly type: "foundCluster"; readonly clusterId: string }
  /** Adds a node, or brings one back with its new address, incarnation and modules. */
  | { readonly type: "joinNode"; readonly node: JoiningNode; readonly now: number }
  /** The node gets no new members from now on; one without members is dropped at once. */
  | { readonly type: "leaveNode"; readonly node: number; readonly now: number }
  /** The node's program has bound further modules. */
  | { readonly type: "bindModules"; readonly node: number; readonly modules: readonly string[] }
  | AddGroup
  | RemoveGroup
  /** A member of a group that is being removed has deleted its replica. */
  | { readonly type: "confirmRemoved"; readonly group: number; readonly node: number };

/** Adds a group. The same token again gives the same answer, as long as the group exists. */
export interface AddGroup {
  readonly type: "addGroup";
  readonly name: string;
  readonly replicas: number;
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
  | "ALREADY_ADDED"
  | "CLEANUP_ONGOING"
  | "MODULE_NOT_BOUND"
  | "NOT_FOUND"
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
  joinNode: { readonly ok: true };
  leaveNode: { readonly ok: true } | FleetError;
  bindModules: { readonly ok: true } | FleetError;
  addGroup:
    | { readonly ok: true; readonly group: number; readonly members: readonly number[] }
    | FleetError;
  removeGroup: { readonly ok: true; readonly group: number } | FleetError;
  confirmRemoved: { readonly ok: true };
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
  state: FleetState;
  nodes: readonly FleetNode[];
  groups: readonly FleetGroup[];
  group: FleetGroup | null;
}

/** Any answer. */
export type FleetAnswer = FleetAnswers[FleetQuery["type"]];
