/**
 * How workflows move on: finished steps, failures, changes of hands.
 *
 * Each function looks first whether the workflow is in the step that the caller speaks of, so that
 * late and repeated calls change nothing.
 */
import type { Advance, Claim, Fail } from "./commands.ts";
import {
  type DirectoryState,
  HASH_SPACE,
  type ShardEntry,
  shardName,
  withKeyspace,
  withoutWorkflow,
  withShards,
  withWorkflow,
} from "./state.ts";
import { canAbort, nextStep, type TransferWorkflow, type Workflow } from "./workflow.ts";

/** Records a finished step: the directory's own part of it, and the next step. */
export function advance(state: DirectoryState, command: Advance): DirectoryState {
  const workflow = state.workflows.get(command.workflow);
  if (!workflow || workflow.step !== command.step) return state;
  const { group } = command;
  if (workflow.step === "createGroup" && group === undefined) return state;
  const changed = applyStep(state, workflow, command.now, group ?? 0);
  const next = nextStep(
    workflow.kind === "split" && workflow.step === "createGroup"
      ? { ...workflow, receiver: { ...workflow.receiver, group: group ?? null } }
      : workflow,
  );
  if (next === null) return ended(changed, workflow, command.now);
  return withWorkflow(changed, renewed(next, command));
}

/** What a finished step means for the shards. */
function applyStep(
  state: DirectoryState,
  workflow: Workflow,
  now: number,
  group: number,
): DirectoryState {
  if (workflow.kind === "register" && workflow.step === "createGroup") {
    const { token } = workflow.receiver;
    const name = shardName(workflow.keyspace, 0);
    const first = { name, token, group, start: 0, end: HASH_SPACE, changedAt: 0 };
    return withShards(state, workflow.keyspace, () => [
      { ...first, changedBy: null, lock: null, statistics: null },
    ]);
  }
  if (workflow.kind === "split" && workflow.step === "handOver") {
    const { id, sender, receiver, start, end } = workflow;
    const changed = { lock: id, changedAt: now, changedBy: "split", statistics: null } as const;
    const added = { ...receiver, group: receiver.group ?? 0, start, end, ...changed };
    return withShards(state, workflow.keyspace, (shards) =>
      shards.flatMap((shard) =>
        shard.name === sender.name ? [{ ...shard, end: start, ...changed }, added] : [shard],
      ),
    );
  }
  if (workflow.kind === "merge" && workflow.step === "handOver") {
    const { sender, receiver, end } = workflow;
    const changed = { end, changedAt: now, changedBy: "merge", statistics: null } as const;
    return withShards(state, workflow.keyspace, (shards) =>
      shards
        .filter((shard) => shard.name !== sender.name)
        .map((shard) => (shard.name === receiver.name ? { ...shard, ...changed } : shard)),
    );
  }
  return state;
}

/** The state without a workflow that is over, its shards unlocked. */
function ended(state: DirectoryState, workflow: Workflow, now: number): DirectoryState {
  const changedBy = workflow.step === "abort" ? { changedBy: "attempt" as const } : {};
  const free = (shard: ShardEntry): ShardEntry =>
    shard.lock === workflow.id ? { ...shard, lock: null, changedAt: now, ...changedBy } : shard;
  const unlocked = withShards(state, workflow.keyspace, (shards) => shards.map(free));
  return withoutWorkflow(unlocked, workflow.id);
}

/** Gives a workflow up, if no key has moved yet. */
export function fail(state: DirectoryState, command: Fail): DirectoryState {
  const workflow = state.workflows.get(command.workflow);
  if (!workflow || workflow.step !== command.step) return state;
  if (workflow.kind === "register" && workflow.step === "createGroup") {
    return cancelKeyspace(state, workflow.keyspace, command).state;
  }
  if (!canAbort(workflow, command.senderAborted ?? false)) return state;
  const aborting: TransferWorkflow = { ...workflow, step: "abort", reason: command.reason };
  return withWorkflow(state, renewed(aborting, command));
}

/**
 * Takes a workflow over when its owner's lease is over. A new leader of the directory takes it at
 * once, and anyone one in which keys wait: steps may be repeated by anyone, and the lease only
 * spares double work.
 */
export function claim(state: DirectoryState, command: Claim): [boolean, DirectoryState] {
  const workflow = state.workflows.get(command.workflow);
  if (!workflow) return [false, state];
  const free =
    workflow.owner === command.node ||
    workflow.leaseUntil <= command.now ||
    command.leads === true ||
    workflow.step === "handOver";
  return free ? [true, withWorkflow(state, renewed(workflow, command))] : [false, state];
}

function renewed<W extends Workflow>(
  workflow: W,
  { node, now, lockPeriod }: { node: number; now: number; lockPeriod: number },
): W {
  return { ...workflow, owner: node, leaseUntil: now + lockPeriod };
}

/** Drops a keyspace and what runs on it; a new workflow removes all groups it has or may get. */
export function cancelKeyspace(
  state: DirectoryState,
  name: string,
  { node, now }: { node: number; now: number },
): { workflow: number; state: DirectoryState } {
  const groups = new Map<string, { name: string; token: string }>();
  const note = ({ name, token }: { name: string; token: string }) =>
    groups.set(token, { name, token });
  for (const shard of state.keyspaces.get(name)?.shards ?? []) note(shard);
  const workflows = new Map(state.workflows);
  for (const workflow of state.workflows.values()) {
    if (workflow.keyspace !== name || workflow.kind === "deregister") continue;
    if (workflow.kind !== "register") note(workflow.sender);
    note(workflow.receiver);
    workflows.delete(workflow.id);
  }
  const id = state.nextWorkflow;
  workflows.set(id, {
    id,
    kind: "deregister",
    step: "removeGroups",
    keyspace: name,
    groups: [...groups.values()],
    startedAt: now,
    owner: node,
    // The caller may be any node: whoever leads the directory takes it up.
    leaseUntil: 0,
    reason: null,
  });
  const keyspaces = new Map(state.keyspaces);
  keyspaces.delete(name);
  return { workflow: id, state: { ...state, keyspaces, workflows, nextWorkflow: id + 1 } };
}

/** Adds a keyspace without shards, and the workflow that makes its first one. */
export function addKeyspace(
  state: DirectoryState,
  entry: Parameters<typeof withKeyspace>[1],
  { node, now }: { node: number; now: number },
  token: (workflow: number) => string,
): DirectoryState {
  const id = state.nextWorkflow;
  const added = withWorkflow(withKeyspace(state, entry), {
    id,
    kind: "register",
    step: "createGroup",
    keyspace: entry.name,
    receiver: { name: shardName(entry.name, 0), token: token(id) },
    startedAt: now,
    owner: node,
    // The caller may be any node: whoever leads the directory takes it up.
    leaseUntil: 0,
    reason: null,
  });
  return { ...added, nextKeyspace: state.nextKeyspace + 1, nextWorkflow: id + 1 };
}
