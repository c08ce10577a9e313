/**
 * Workflows as data: what kinds there are, their steps, and which step follows which.
 *
 * A step is committed as finished before the next one begins, and any step may be carried out more
 * than once, by one node after another. `transfer.md` names the steps of a range transfer. Up to
 * `copy` a split or merge can be given up; from `handOver` on it only goes forward.
 */

/** What every workflow has. */
interface WorkflowCommon {
  /** Counts up in the directory; never reused. */
  readonly id: number;
  readonly keyspace: string;
  readonly startedAt: number;
  /** Node id of who carries it out. */
  readonly owner: number;
  /** Until when the owner has it to itself, milliseconds since 1970. */
  readonly leaseUntil: number;
  /** Why it was given up, once it is in step `abort`. */
  readonly reason: string | null;
}

/** A shard's group: its name, and the token that tells it from a later group of that name. */
export interface GroupReference {
  readonly name: string;
  readonly token: string;
}

/** A shard's group that exists. */
export interface OpenGroup extends GroupReference {
  readonly group: number;
}

/** Makes the first shard of a new keyspace. */
export interface RegisterWorkflow extends WorkflowCommon {
  readonly kind: "register";
  readonly step: "createGroup" | "publish";
  readonly receiver: GroupReference;
}

/** Removes every group of a keyspace that is gone. */
export interface DeregisterWorkflow extends WorkflowCommon {
  readonly kind: "deregister";
  readonly step: "removeGroups";
  readonly groups: readonly GroupReference[];
}

interface TransferCommon extends WorkflowCommon {
  /** Counts up in the directory; never reused. */
  readonly transfer: number;
  /** The range that moves. */
  readonly start: number;
  readonly end: number;
  readonly sender: OpenGroup;
}

/** Moves the upper half of a shard into a new one. */
export interface SplitWorkflow extends TransferCommon {
  readonly kind: "split";
  readonly step: "createGroup" | TransferStep;
  /** The new shard; without a group until `createGroup` is over. */
  readonly receiver: GroupReference & { readonly group: number | null };
}

/** Moves all of a shard into its left neighbour. */
export interface MergeWorkflow extends TransferCommon {
  readonly kind: "merge";
  readonly step: TransferStep | "removeGroup";
  readonly receiver: OpenGroup;
}

/**
 * - `begin`: the receiver expects the range, the sender notes what changes in it.
 * - `copy`: entries go over in bounded chunks, then rounds of changes.
 * - `handOver`: the sender gives the range up, the rest goes over, the receiver opens. Recorded as
 *   an intent before the sender is told, so that nothing is committed here while keys wait.
 * - `publish`: the nodes' routes learn of it. `finish`: the sender drops what it had frozen.
 * - `abort`: both forget the transfer; a new receiver is removed.
 */
export type TransferStep = "begin" | "copy" | "handOver" | "publish" | "finish" | "abort";

/** Something that the directory's leader is doing. */
export type Workflow = RegisterWorkflow | DeregisterWorkflow | SplitWorkflow | MergeWorkflow;
/** A workflow that moves a range. */
export type TransferWorkflow = SplitWorkflow | MergeWorkflow;
/** Any step of any workflow. */
export type WorkflowStep = Workflow["step"];

const NEXT_SPLIT_STEP = {
  createGroup: "begin",
  begin: "copy",
  copy: "handOver",
  handOver: "publish",
  publish: "finish",
  finish: null,
  abort: null,
} as const;

const NEXT_MERGE_STEP = {
  begin: "copy",
  copy: "handOver",
  handOver: "publish",
  publish: "finish",
  finish: "removeGroup",
  removeGroup: null,
  abort: null,
} as const;

/** The workflow in its next step, or `null` when the present one is the last. */
export function nextStep(workflow: Workflow): Workflow | null {
  switch (workflow.kind) {
    case "register":
      return workflow.step === "createGroup" ? { ...workflow, step: "publish" } : null;
    case "deregister":
      return null;
    case "split": {
      const step = NEXT_SPLIT_STEP[workflow.step];
      return step && { ...workflow, step };
    }
    case "merge": {
      const step = NEXT_MERGE_STEP[workflow.step];
      return step && { ...workflow, step };
    }
  }
}

/**
 * Whether this workflow can still be given up: no key has moved. The intent to hand over can be
 * taken back only when the sender has said that it ended the transfer by itself.
 */
export function canAbort(workflow: Workflow, senderAborted: boolean): workflow is TransferWorkflow {
  if (workflow.kind !== "split" && workflow.kind !== "merge") return false;
  if (workflow.step === "handOver") return senderAborted;
  return workflow.step === "createGroup" || workflow.step === "begin" || workflow.step === "copy";
}

/** Whether the directory already shows the transfer's outcome. */
export function isPublished(workflow: TransferWorkflow): boolean {
  return ["publish", "finish", "removeGroup"].includes(workflow.step);
}

/** The token that a workflow adds its group with. */
export function workflowToken(id: number): string {
  return `RaftKV.Keyspaces/${id}`;
}
