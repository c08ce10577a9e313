/**
 * The keyspaces directory's state machine: policies, shards, statistics, and workflows as data.
 *
 * It is the group `RaftKV.Keyspaces`. It decides what is to be done and remembers how far it got;
 * the node that leads it does it (`workflow/`). Promises: a keyspace's shards tile the hash space;
 * ids of workflows, transfers and keyspaces are never reused; a shard has one workflow at most; a
 * repeated or late command changes nothing. It may not use clocks or chance.
 */
import type { DataModule } from "../machine/data-module.ts";
import { isValidPolicy, SplitMergePolicy } from "../policy.ts";
import type {
  Deregister,
  DirectoryAnswer,
  DirectoryCommand,
  DirectoryErrorCode,
  DirectoryQuery,
  DirectoryReply,
  Register,
  Report,
  ReportedShard,
  SetPolicy,
} from "./commands.ts";
import { startWorkflows } from "./plan.ts";
import { addKeyspace, advance, cancelKeyspace, claim, fail } from "./progress.ts";
import {
  type DirectoryState,
  emptyDirectory,
  type KeyspaceEntry,
  type ShardEntry,
  withKeyspace,
  withShards,
} from "./state.ts";
import { startWanted } from "./wanted.ts";
import { workflowToken } from "./workflow.ts";

type Outcome = [DirectoryReply, DirectoryState];

/** The directory, as a data module. */
export const directoryModule: DataModule<
  DirectoryState,
  DirectoryCommand,
  DirectoryReply,
  DirectoryQuery,
  DirectoryAnswer
> = { init: emptyDirectory, command: applyDirectoryCommand, query: answerDirectoryQuery };

function applyDirectoryCommand(state: DirectoryState, command: DirectoryCommand): Outcome {
  switch (command.type) {
    case "register":
      return register(state, command);
    case "deregister":
      return deregister(state, command);
    case "setPolicy":
      return setPolicy(state, command);
    case "report":
      return report(state, command);
    case "plan": {
      const planned = startWorkflows(state, command, command.ineligiblePeriod);
      return [{ ok: true, started: planned.started }, planned.state];
    }
    case "split":
    case "merge": {
      const started = startWanted(state, command);
      if ("code" in started) return refuse(state, started.code, started.message);
      return [{ ok: true, workflow: started.workflow }, started.state];
    }
    case "advance":
    case "fail": {
      const next = command.type === "advance" ? advance(state, command) : fail(state, command);
      return [{ ok: true, workflow: next.workflows.get(command.workflow) ?? null }, next];
    }
    case "claim": {
      const [mine, next] = claim(state, command);
      return [{ ok: true, workflow: next.workflows.get(command.workflow) ?? null, mine }, next];
    }
    default:
      return refuse(state, "INVALID_OPTION", "not a command of the directory");
  }
}

function answerDirectoryQuery(state: DirectoryState, query: DirectoryQuery): DirectoryAnswer {
  switch (query.type) {
    case "keyspaces":
      return [...state.keyspaces.keys()].sort();
    case "keyspace":
      return state.keyspaces.get(query.name) ?? null;
    default:
      return state;
  }
}

function refuse(state: DirectoryState, code: DirectoryErrorCode, message: string): Outcome {
  return [{ ok: false, code, message }, state];
}

function register(state: DirectoryState, command: Register): Outcome {
  const { name, settings, token } = command;
  const existing = state.keyspaces.get(name);
  if (existing) {
    return existing.token === token
      ? [{ ok: true, number: existing.number }, state]
      : refuse(state, "ALREADY_REGISTERED", `keyspace ${name} is registered already`);
  }
  if (!isValidPolicy(command.policy)) {
    return refuse(state, "INVALID_POLICY", "the policy is not valid");
  }
  const policy = SplitMergePolicy.from(command.policy).fields();
  const number = state.nextKeyspace;
  const entry: KeyspaceEntry = { name, number, policy, settings, token, shards: [] };
  return [{ ok: true, number }, addKeyspace(state, entry, command, workflowToken)];
}

function deregister(state: DirectoryState, command: Deregister): Outcome {
  const { name } = command;
  if (!state.keyspaces.has(name)) {
    return refuse(state, "NO_SUCH_KEYSPACE", `no keyspace ${name}`);
  }
  const { workflow, state: next } = cancelKeyspace(state, name, command);
  return [{ ok: true, workflow }, next];
}

function setPolicy(state: DirectoryState, { name, policy }: SetPolicy): Outcome {
  const entry = state.keyspaces.get(name);
  if (!entry) return refuse(state, "NO_SUCH_KEYSPACE", `no keyspace ${name}`);
  if (!isValidPolicy(policy)) return refuse(state, "INVALID_POLICY", "the policy is not valid");
  const fields = SplitMergePolicy.from(policy).fields();
  return [{ ok: true }, withKeyspace(state, { ...entry, policy: fields })];
}

function report(state: DirectoryState, { now, shards }: Report): Outcome {
  const byKeyspace = new Map<string, Map<string, ReportedShard>>();
  for (const reported of shards) {
    const known = byKeyspace.get(reported.keyspace) ?? new Map<string, ReportedShard>();
    byKeyspace.set(reported.keyspace, known.set(reported.name, reported));
  }
  const taken: string[] = [];
  let next = state;
  for (const [keyspace, reports] of byKeyspace) {
    next = withShards(next, keyspace, (entries) =>
      entries.map((entry) => {
        const reported = reports.get(entry.name);
        if (!reported || !describes(reported, entry)) return entry;
        taken.push(entry.name);
        const { keys, size, load } = reported;
        return { ...entry, statistics: { keys, size, load, at: now } };
      }),
    );
  }
  return [{ ok: true, taken }, next];
}

/** Figures from before or amid a split or merge must not be taken for those of the new range. */
function describes({ group, start, end }: ReportedShard, shard: ShardEntry): boolean {
  return group === shard.group && start === shard.start && end === shard.end;
}
