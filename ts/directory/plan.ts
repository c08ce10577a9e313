/**
 * Starts splits and merges: turns eligible candidates into workflows, up to the limit of transfers
 * that run side by side. Splits come before merges, since a hot shard hurts more than a small one.
 */
import { TRANSFERS_AT_ONCE } from "../limits.ts";
import {
  eligible,
  type MergeCandidate,
  mergeCandidates,
  type SplitCandidate,
  splitCandidates,
} from "./candidates.ts";
import type { Ownership } from "./commands.ts";
import { type DirectoryState, shardName, withShards, withWorkflow } from "./state.ts";
import { type MergeWorkflow, type SplitWorkflow, workflowToken } from "./workflow.ts";

/** Starts what is due; returns the ids of the new workflows and the state with them. */
export function startWorkflows(
  state: DirectoryState,
  ownership: Ownership,
  ineligiblePeriod: number,
): { started: number[]; state: DirectoryState } {
  const started: number[] = [];
  let next = state;
  for (;;) {
    if (runningTransfers(next) >= TRANSFERS_AT_ONCE) break;
    // Derived anew after each start: locks and the policy's limits have changed.
    const { now } = ownership;
    const split = eligible(splitCandidates(next, ineligiblePeriod), now, ineligiblePeriod)[0];
    const candidate =
      split ?? eligible(mergeCandidates(next, ineligiblePeriod), now, ineligiblePeriod)[0];
    if (!candidate) break;
    started.push(next.nextWorkflow);
    next =
      candidate.kind === "split"
        ? startSplit(next, candidate, ownership)
        : startMerge(next, candidate, ownership);
  }
  return { started, state: next };
}

/**
 * When the next split or merge can be started: a time that may be past, or `null` when nothing can
 * be started before the state changes.
 */
export function nextStartAt(state: DirectoryState, ineligiblePeriod: number): number | null {
  if (runningTransfers(state) >= TRANSFERS_AT_ONCE) return null;
  const times = [
    ...splitCandidates(state, ineligiblePeriod),
    ...mergeCandidates(state, ineligiblePeriod),
  ].map((candidate) => candidate.eligibleAt);
  return times.length === 0 ? null : Math.min(...times);
}

/** How many splits and merges are under way. */
export function runningTransfers(state: DirectoryState): number {
  let running = 0;
  for (const { kind } of state.workflows.values()) {
    if (kind === "split" || kind === "merge") running++;
  }
  return running;
}

function commonOf(state: DirectoryState, { node, now, lockPeriod }: Ownership) {
  return {
    id: state.nextWorkflow,
    transfer: state.nextTransfer,
    startedAt: now,
    owner: node,
    leaseUntil: now + lockPeriod,
    reason: null,
  };
}

/** The state with the workflow that splits a shard in the middle of its range. */
export function startSplit(
  state: DirectoryState,
  { keyspace, shard }: Pick<SplitCandidate, "keyspace" | "shard">,
  ownership: Ownership,
): DirectoryState {
  const common = commonOf(state, ownership);
  const middle = Math.floor((shard.start + shard.end) / 2);
  const workflow: SplitWorkflow = {
    ...common,
    kind: "split",
    step: "createGroup",
    keyspace: keyspace.name,
    start: middle,
    end: shard.end,
    sender: { name: shard.name, token: shard.token, group: shard.group },
    receiver: {
      name: shardName(keyspace.name, middle),
      token: workflowToken(common.id),
      group: null,
    },
  };
  return started(state, workflow);
}

/** The state with the workflow that merges a shard into its left neighbour. */
export function startMerge(
  state: DirectoryState,
  { keyspace, receiver, sender }: Pick<MergeCandidate, "keyspace" | "receiver" | "sender">,
  ownership: Ownership,
): DirectoryState {
  const workflow: MergeWorkflow = {
    ...commonOf(state, ownership),
    kind: "merge",
    step: "begin",
    keyspace: keyspace.name,
    start: sender.start,
    end: sender.end,
    sender: { name: sender.name, token: sender.token, group: sender.group },
    receiver: { name: receiver.name, token: receiver.token, group: receiver.group },
  };
  return started(state, workflow);
}

function started(state: DirectoryState, workflow: SplitWorkflow | MergeWorkflow): DirectoryState {
  const names = [workflow.sender.name, workflow.receiver.name];
  const locked = withShards(state, workflow.keyspace, (shards) =>
    shards.map((shard) => (names.includes(shard.name) ? { ...shard, lock: workflow.id } : shard)),
  );
  return {
    ...withWorkflow(locked, workflow),
    nextWorkflow: state.nextWorkflow + 1,
    nextTransfer: state.nextTransfer + 1,
  };
}
