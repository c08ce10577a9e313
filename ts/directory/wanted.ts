/**
 * Splits and merges that an operator wants, whatever the statistics say. The limits of the policy
 * and of what runs side by side hold as for those that are planned; a refusal says what is in the
 * way.
 */
import { TRANSFERS_AT_ONCE } from "../limits.ts";
import { pendingShards, remainingShards } from "./candidates.ts";
import type { DirectoryErrorCode, MergeShard, SplitShard } from "./commands.ts";
import { runningTransfers, startMerge, startSplit } from "./plan.ts";
import type { DirectoryState, KeyspaceEntry, ShardEntry } from "./state.ts";
import type { Workflow } from "./workflow.ts";

/** Why a split or merge was not started. */
export interface NotStarted {
  readonly code: DirectoryErrorCode;
  readonly message: string;
}

/** A workflow that was started, and the state with it. */
export interface Started {
  readonly workflow: Workflow;
  readonly state: DirectoryState;
}

/** See the head of this file. */
export function startWanted(
  state: DirectoryState,
  command: SplitShard | MergeShard,
): Started | NotStarted {
  for (const keyspace of state.keyspaces.values()) {
    const at = keyspace.shards.findIndex(({ name }) => name === command.shard);
    const shard = keyspace.shards[at];
    if (shard === undefined) continue;
    const busy = busyReason(state, shard);
    if (busy !== null) return busy;
    // Whoever leads the directory takes it up: the sender may be any node.
    const ownership = { ...command, lockPeriod: 0 };
    const id = state.nextWorkflow;
    const next =
      command.type === "split"
        ? split(state, keyspace, shard, (wanted) => startSplit(state, wanted, ownership))
        : merge(state, keyspace, at, (wanted) => startMerge(state, wanted, ownership));
    if ("code" in next) return next;
    return { workflow: next.workflows.get(id) as Workflow, state: next };
  }
  return { code: "NO_SUCH_SHARD", message: `there is no shard ${command.shard}` };
}

function busyReason(state: DirectoryState, { name, lock }: ShardEntry): NotStarted | null {
  if (lock !== null) {
    const kind = state.workflows.get(lock)?.kind ?? "workflow";
    return { code: "SHARD_BUSY", message: `a ${kind} runs on shard ${name}; wait for its end` };
  }
  if (runningTransfers(state) < TRANSFERS_AT_ONCE) return null;
  const message = `${TRANSFERS_AT_ONCE} splits and merges run already; wait for the end of one`;
  return { code: "SHARD_BUSY", message };
}

function split(
  state: DirectoryState,
  keyspace: KeyspaceEntry,
  shard: ShardEntry,
  start: (wanted: { keyspace: KeyspaceEntry; shard: ShardEntry }) => DirectoryState,
): DirectoryState | NotStarted {
  const { maxShards } = keyspace.policy;
  if (pendingShards(state, keyspace) >= maxShards) {
    const message = `keyspace ${keyspace.name} has its maxShards (${maxShards}); raise its policy`;
    return { code: "SPLIT_IMPOSSIBLE", message };
  }
  if (shard.end - shard.start < 2) {
    const message = `shard ${shard.name} owns a single hash value and cannot be divided`;
    return { code: "SPLIT_IMPOSSIBLE", message };
  }
  return start({ keyspace, shard });
}

function merge(
  state: DirectoryState,
  keyspace: KeyspaceEntry,
  at: number,
  start: (wanted: {
    keyspace: KeyspaceEntry;
    receiver: ShardEntry;
    sender: ShardEntry;
  }) => DirectoryState,
): DirectoryState | NotStarted {
  const [receiver, sender] = [keyspace.shards[at - 1], keyspace.shards[at] as ShardEntry];
  if (receiver === undefined) {
    const message = `shard ${sender.name} is the first of its keyspace: no shard on its left to merge into`;
    return { code: "MERGE_IMPOSSIBLE", message };
  }
  const { minShards } = keyspace.policy;
  if (remainingShards(state, keyspace) <= minShards) {
    const message = `keyspace ${keyspace.name} has its minShards (${minShards}); lower its policy`;
    return { code: "MERGE_IMPOSSIBLE", message };
  }
  return busyReason(state, receiver) ?? start({ keyspace, receiver, sender });
}
