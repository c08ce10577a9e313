/** What the directory is asked, and what it answers. All of it is plain data. */
import type { SplitMergePolicyFields } from "../policy.ts";
import type { DirectoryState, KeyspaceEntry, KeyspaceSettings } from "./state.ts";
import type { Workflow, WorkflowStep } from "./workflow.ts";

/** Who carries workflows out, and on what terms. `now` is the sender's clock. */
export interface Ownership {
  readonly node: number;
  readonly now: number;
  /** For how long the node has the workflow to itself, milliseconds. */
  readonly lockPeriod: number;
}

/** One shard's figures in a report. They count only for exactly this group and range. */
export interface ReportedShard {
  readonly keyspace: string;
  readonly name: string;
  readonly group: number;
  readonly start: number;
  readonly end: number;
  readonly keys: number;
  readonly size: number;
  readonly load: number;
}

/** Adds a keyspace, and the workflow that makes its first shard. */
export interface Register extends Ownership {
  readonly type: "register";
  readonly name: string;
  readonly policy: SplitMergePolicyFields;
  readonly settings: KeyspaceSettings;
  readonly token: string;
}

/** Drops a keyspace's entry at once, and starts the workflow that removes its groups. */
export interface Deregister extends Ownership {
  readonly type: "deregister";
  readonly name: string;
}

/** Replaces a keyspace's policy; candidates follow the new one from then on. */
export interface SetPolicy {
  readonly type: "setPolicy";
  readonly name: string;
  readonly policy: SplitMergePolicyFields;
}

/** Statistics of the shards that a node leads. */
export interface Report {
  readonly type: "report";
  readonly now: number;
  readonly shards: readonly ReportedShard[];
}

/** Starts the splits and merges that are due. */
export interface Plan extends Ownership {
  readonly type: "plan";
  readonly ineligiblePeriod: number;
}

/** Starts the split of one shard, whatever its statistics are. */
export interface SplitShard extends Ownership {
  readonly type: "split";
  readonly shard: string;
}

/** Starts the merge of one shard into its left neighbour, whatever their statistics are. */
export interface MergeShard extends Ownership {
  readonly type: "merge";
  readonly shard: string;
}

/** Records that a step was carried out. Late and repeated ones change nothing. */
export interface Advance extends Ownership {
  readonly type: "advance";
  readonly workflow: number;
  readonly step: WorkflowStep;
  /** The group that the step `createGroup` made. */
  readonly group?: number;
}

/** Gives a workflow up, as long as no key has moved. Late and repeated ones change nothing. */
export interface Fail extends Ownership {
  readonly type: "fail";
  readonly workflow: number;
  readonly step: WorkflowStep;
  readonly reason: string;
  /** The sender itself has ended the transfer as aborted: it can't hand over any more. */
  readonly senderAborted?: boolean;
}

/** Takes a workflow over, or keeps it. */
export interface Claim extends Ownership {
  readonly type: "claim";
  readonly workflow: number;
  /** The sender has come to lead the directory since: whoever led before does nothing more. */
  readonly leads?: boolean;
}

/** A command to the directory. */
export type DirectoryCommand =
  | Register
  | Deregister
  | SetPolicy
  | Report
  | Plan
  | SplitShard
  | MergeShard
  | Advance
  | Fail
  | Claim;

/** Why the directory did not do what it was asked. */
export type DirectoryErrorCode =
  | "ALREADY_REGISTERED"
  | "INVALID_POLICY"
  | "NO_SUCH_KEYSPACE"
  | "NO_SUCH_SHARD"
  | "SHARD_BUSY"
  | "SPLIT_IMPOSSIBLE"
  | "MERGE_IMPOSSIBLE"
  | "INVALID_OPTION";

/** A command that changed nothing, and why. */
export interface DirectoryError {
  readonly ok: false;
  readonly code: DirectoryErrorCode;
  readonly message: string;
}

/** The reply to each type of command. */
export interface DirectoryReplies {
  register: { readonly ok: true; readonly number: number } | DirectoryError;
  deregister: { readonly ok: true; readonly workflow: number } | DirectoryError;
  setPolicy: { readonly ok: true } | DirectoryError;
  /** The names of the shards whose figures were taken. */
  report: { readonly ok: true; readonly taken: readonly string[] };
  /** The ids of the workflows that were started. */
  plan: { readonly ok: true; readonly started: readonly number[] };
  /** The workflow that was started. */
  split: { readonly ok: true; readonly workflow: Workflow } | DirectoryError;
  merge: { readonly ok: true; readonly workflow: Workflow } | DirectoryError;
  /** The workflow as it is now; `null` when it is over. */
  advance: { readonly ok: true; readonly workflow: Workflow | null };
  fail: { readonly ok: true; readonly workflow: Workflow | null };
  /** `mine` says whether the sender has it now. */
  claim: { readonly ok: true; readonly workflow: Workflow | null; readonly mine: boolean };
}

/** Any reply. */
export type DirectoryReply = DirectoryReplies[DirectoryCommand["type"]] | DirectoryError;

/** A read of the directory's state. */
export type DirectoryQuery =
  | { readonly type: "state" }
  | { readonly type: "keyspaces" }
  | { readonly type: "keyspace"; readonly name: string };

/** The answer to each type of query; names are sorted. */
export interface DirectoryAnswers {
  state: DirectoryState;
  keyspaces: readonly string[];
  keyspace: KeyspaceEntry | null;
}

/** Any answer. */
export type DirectoryAnswer = DirectoryAnswers[DirectoryQuery["type"]];
