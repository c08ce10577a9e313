/**
 * Runs every interleaving of a range transfer with client commands, lost answers, retries, late
 * repetitions of the transfer's commands, and giving up; checks the invariants after each step.
 *
 * Every branch goes on with replicas that were restored from snapshots, so a crash at every point is
 * part of each run; at the end of a run the logs are replayed from every
 * snapshot on the way. Runs that reach a state that was seen before end there.
 */
import { decodeValue } from "../../ts/codec/index.ts";
import { EncodedResult, PARKED, Refusal, type Result } from "../../ts/machine/machine.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import type { ShardObserver } from "../../ts/shard/observer.ts";
import {
  type Certificate,
  type ChangesReply,
  type ChunkReply,
  type ShardCommand,
  type StatusReply,
  shardCommand,
  shardRead,
} from "../../ts/shard/requests.ts";
import type { HashRange } from "../../ts/shard/status.ts";
import { type Answered, digestOf, END, Group } from "./harness.ts";
import { checkAlways, checkEnd, checkOpened, entriesOf } from "./invariants.ts";

export interface Operation {
  readonly key: string;
  readonly hash: number;
  readonly kind: "append" | "unset";
  /** Where the first attempt goes: 0 the sender, 1 the receiver. */
  readonly first: 0 | 1;
}

export interface Budget {
  /** Answers that get lost on the way. */
  readonly lost: number;
  /** Late repetitions of transfer commands. */
  readonly repeated: number;
  /** Callers that give up while their command is in flight. */
  readonly givenUp: number;
}

export interface Scenario {
  readonly range: HashRange;
  readonly senderRange: HashRange;
  /** `null` in a split. */
  readonly receiverRange: HashRange | null;
  readonly present: readonly { key: string; hash: number; at: 0 | 1 }[];
  readonly operations: readonly Operation[];
  readonly budget: Budget;
  readonly mayAbort: boolean;
}

/** The user's code in these tests: a list of the requests that took effect. */
const APPENDING: ValuePerKey<string[], string, { id: number; kind: string }, number> = {
  command: (previous, size, _key, { id, kind }) => {
    if (kind === "unset") return [size, 1, undefined, 0];
    return [size + 1, 1, [...(previous ?? []), `r${id}`], size + 1];
  },
  query: (value) => [value.length, 1],
};

type OperationState =
  | { readonly type: "idle" | "moved"; readonly target: 0 | 1; readonly attempts: number }
  | { readonly type: "inFlight"; readonly target: 0 | 1; readonly attempts: number }
  | { readonly type: "done"; readonly result: string }
  | { readonly type: "givenUp" };

export interface World {
  groups: [Group, Group];
  /** Position in the workflow. */
  step: string;
  cursor: number | null;
  watermark: number;
  pending: Uint8Array | null;
  rounds: number;
  certificate: Certificate | null;
  sent: { to: 0 | 1; command: ShardCommand }[];
  operations: OperationState[];
  batches: number;
  effects: { id: number; key: string; at: 0 | 1; kind: string }[];
  budget: Budget;
  snapshots: { at: 0 | 1; length: number; make: () => Group }[];
  trace: string[];
}

export interface Exploration {
  readonly states: number;
  readonly runs: number;
}

/** The number of the transfer that is explored. */
export const TRANSFER = 5;

export function explore(scenario: Scenario): Exploration {
  const seen = new Set<string>();
  let runs = 0;
  const visit = (world: World): void => {
    const name = nameOf(world);
    if (seen.has(name)) return;
    seen.add(name);
    const actions = actionsOf(scenario, world);
    if (actions.length === 0) {
      checkEnd(scenario, world);
      runs++;
      return;
    }
    for (const action of actions) {
      const next = cloneWorld(world);
      next.trace.push(action.name);
      try {
        action.run(next);
        checkAlways(scenario, next);
      } catch (error) {
        throw new Error(`after ${next.trace.join(", ")}: ${(error as Error).message}`);
      }
      visit(next);
    }
  };
  visit(start(scenario));
  return { states: seen.size, runs };
}

function observerOf(effects: World["effects"], at: 0 | 1): ShardObserver {
  return {
    committed: (_before, _size, key, argument) => {
      const { id, kind } = argument as { id: number; kind: string };
      effects.push({ id, key: key as string, at, kind });
    },
    hookFailed: (error) => {
      throw error;
    },
    changed: () => undefined,
  };
}

function start(scenario: Scenario): World {
  const effects: World["effects"] = [];
  const index = new Map();
  const { senderRange, receiverRange } = scenario;
  // The receiver's log is at another place than the sender's, in either direction.
  const sender = new Group(11, APPENDING, senderRange, index, observerOf(effects, 0), 70);
  const receiver = new Group(12, APPENDING, receiverRange, index, observerOf(effects, 1), 3);
  scenario.present.forEach(({ key, hash, at }, number) => {
    [sender, receiver][at]!.run(key, { id: 100 + number, kind: "append" }, hash);
  });
  return {
    groups: [sender, receiver],
    step: "expect",
    cursor: 0,
    watermark: 0,
    pending: null,
    rounds: 0,
    certificate: null,
    sent: [],
    operations: scenario.operations.map(({ first }) => ({
      type: "idle",
      target: first,
      attempts: 0,
    })),
    batches: 1_000,
    effects,
    budget: scenario.budget,
    snapshots: [],
    trace: [],
  };
}

function cloneWorld(world: World): World {
  const effects = [...world.effects];
  const index = new Map();
  const groups = world.groups.map((group, at) =>
    group.clone(index, observerOf(effects, at as 0 | 1)),
  ) as [Group, Group];
  const snapshots = [...world.snapshots];
  for (const at of [0, 1] as const) {
    const group = world.groups[at];
    const { length } = group.log;
    if (snapshots.some((snapshot) => snapshot.at === at && snapshot.length === length)) continue;
    snapshots.push({ at, length, make: () => group.clone() });
  }
  return {
    ...world,
    groups,
    effects,
    snapshots,
    sent: [...world.sent],
    operations: [...world.operations],
    trace: [...world.trace],
  };
}

function nameOf(world: World): string {
  const { groups, step, cursor, watermark, pending, rounds, operations, budget, effects } = world;
  const digests = groups.map((group) => digestOf(group.machine) + sessionsOf(group));
  const sent = world.sent.length;
  const rest = { step, cursor, watermark, rounds, operations, budget, effects, sent };
  return JSON.stringify([digests, rest, pending === null ? null : [...pending]]);
}

function sessionsOf(group: Group): string {
  const results = group.sessions
    .within(0, END)
    .map(({ request, result }) => [request, text(result)]);
  // Batches only count up: states that differ in their numbers alone would never be seen again.
  const marks = group.sessions.marks().map(({ lastBatch: _counter, ...mark }) => mark);
  return JSON.stringify([results, marks]);
}

interface Action {
  readonly name: string;
  run(world: World): void;
}

function actionsOf(scenario: Scenario, world: World): Action[] {
  const actions: Action[] = [];
  const step = workflowAction(scenario, world);
  if (step !== null) actions.push(step);
  if (scenario.mayAbort && ["begin", "copy", "catchUp", "handOver"].includes(world.step)) {
    actions.push({
      name: "abort at sender",
      run: (next) => {
        tell(next, 0, shardCommand.abort(TRANSFER));
        next.pending = null;
        next.step = "abort";
      },
    });
  }
  if (world.budget.repeated > 0) {
    world.sent.forEach(({ to, command }, number) => {
      actions.push({
        name: `repeat ${number} ${command.type}`,
        run: (next) => {
          next.budget = { ...next.budget, repeated: next.budget.repeated - 1 };
          next.groups[to].tell(command);
          collect(next);
        },
      });
    });
  }
  world.operations.forEach((_, number) => {
    actions.push(...operationActions(scenario, world, number));
  });
  return actions;
}

function workflowAction(scenario: Scenario, world: World): Action | null {
  const { range } = scenario;
  const simple = (name: string, to: 0 | 1, command: ShardCommand, step: string): Action => ({
    name,
    run: (next) => {
      const reply = tell(next, to, command);
      if (reply instanceof Refusal) throw new Error(`${name} was refused: ${reply.message}`);
      next.step = step;
    },
  });
  switch (world.step) {
    case "expect":
      return simple("expect", 1, shardCommand.expect(TRANSFER, range, 11), "begin");
    case "begin":
      return {
        name: "begin",
        run: (next) => {
          const reply = tell(next, 0, shardCommand.begin(TRANSFER, range, 12));
          if (reply instanceof Refusal || reply.type !== "begun") throw new Error("no begin");
          next.watermark = reply.watermark;
          next.cursor = range.start;
          next.step = "copy";
        },
      };
    case "copy":
      return world.pending === null ? readChunk() : installPending();
    case "catchUp":
    case "drain":
      return world.pending === null ? readChanges() : installPending();
    case "handOver":
      return handOverAction();
    case "open":
      return openAction(scenario);
    case "finish":
      return simple("finish", 0, shardCommand.finish(TRANSFER), "over");
    case "abort":
      return simple("abort at receiver", 1, shardCommand.abort(TRANSFER), "over");
    default:
      return null;
  }
}

function readChunk(): Action {
  return {
    name: "read chunk",
    run: (next) => {
      const { cursor } = next;
      const reply = next.groups[0].read(shardRead.chunk(TRANSFER, cursor as number, 1));
      const { entries, cursor: following } = reply as ChunkReply;
      next.pending = entries;
      next.cursor = following;
    },
  };
}

function readChanges(): Action {
  return {
    name: "read changes",
    run: (next) => {
      const read = shardRead.changes(TRANSFER, next.watermark, 1);
      const reply = next.groups[0].read(read) as ChangesReply;
      next.watermark = reply.watermark;
      next.rounds++;
      if (reply.count === 0) next.step = next.step === "drain" ? "open" : "handOver";
      else next.pending = reply.entries;
    },
  };
}

function installPending(): Action {
  return {
    name: "install",
    run: (next) => {
      tell(next, 1, shardCommand.install(TRANSFER, next.pending as Uint8Array));
      next.pending = null;
      if (next.step === "copy" && next.cursor === null) next.step = "catchUp";
      // One round is enough before the hand-over: what changes later is read from the frozen ones.
      else if (next.step === "catchUp") next.step = "handOver";
    },
  };
}

function handOverAction(): Action {
  return {
    name: "hand over",
    run: (next) => {
      const reply = tell(next, 0, shardCommand.handOver(TRANSFER));
      if (reply instanceof Refusal || reply.type !== "handedOver") throw new Error("no hand-over");
      next.certificate = reply.certificate;
      next.step = "drain";
    },
  };
}

function openAction(scenario: Scenario): Action {
  return {
    name: "open",
    run: (next) => {
      const frozen = entriesOf(next.groups[0]);
      // The sender's entries are read before: parked commands run at once and change the values.
      const certificate = next.certificate as Certificate;
      const parked = (next.groups[1].read(shardRead.status()) as StatusReply).parked;
      const reply = tell(next, 1, shardCommand.open(TRANSFER, certificate));
      if (reply instanceof Refusal) throw new Error(`open was refused: ${reply.message}`);
      if (parked === 0) checkOpened(scenario, next, frozen);
      next.step = "finish";
    },
  };
}

function tell(world: World, to: 0 | 1, command: ShardCommand) {
  world.sent.push({ to, command });
  const reply = world.groups[to].tell(command);
  collect(world);
  return reply;
}

function operationActions(scenario: Scenario, world: World, number: number): Action[] {
  const state = world.operations[number] as OperationState;
  const { key } = scenario.operations[number] as Operation;
  if (state.type === "done" || state.type === "givenUp") return [];
  // The client holds a key's later commands back while an earlier one has to be retried.
  const holds = world.operations.some(
    ({ type }, earlier) =>
      earlier < number &&
      scenario.operations[earlier]!.key === key &&
      type !== "done" &&
      type !== "givenUp",
  );
  if (holds) return [];
  const actions: Action[] = [];
  const isParked = state.type === "inFlight";
  const attempt = (target: 0 | 1, isLost: boolean): void => {
    actions.push({
      name: `send ${number} to ${target}${isLost ? ", answer lost" : ""}`,
      run: (next) => {
        const cost = (isParked ? 1 : 0) + (isLost ? 1 : 0);
        next.budget = { ...next.budget, lost: next.budget.lost - cost };
        send(scenario, next, number, target, isLost);
      },
    });
  };
  if (!isParked || world.budget.lost > 0) attempt(state.target, false);
  if (!isParked && world.budget.lost > 0) attempt(state.target, true);
  // A retry may follow other routes than the first attempt.
  if (state.type === "idle" && state.attempts > 0) attempt(state.target === 0 ? 1 : 0, false);
  if (state.attempts > 0 && world.budget.givenUp > 0) {
    actions.push({
      name: `give up ${number}`,
      run: (next) => {
        next.budget = { ...next.budget, givenUp: next.budget.givenUp - 1 };
        next.operations[number] = { type: "givenUp" };
        // Another command of the same node carries the acknowledgement to the sender's shard.
        acknowledge(next);
      },
    });
  }
  return actions;
}

function lowestUnsettled(world: World): number {
  const open = world.operations.findIndex(({ type }) => type !== "done" && type !== "givenUp");
  return (open < 0 ? world.operations.length : open) + 1;
}

function acknowledge(world: World): void {
  const batch = ++world.batches;
  const acknowledged = lowestUnsettled(world);
  world.groups[0].sessions.begin(7, 1, batch, acknowledged, 0);
}

function send(
  scenario: Scenario,
  world: World,
  number: number,
  target: 0 | 1,
  isLost: boolean,
): void {
  const { key, hash, kind } = scenario.operations[number] as Operation;
  const state = world.operations[number] as Extract<OperationState, { target: 0 | 1 }>;
  const status = (world.groups[target].read(shardRead.status()) as StatusReply).status.type;
  const answered = world.groups[target].commit({
    node: 7,
    incarnation: 1,
    request: number + 1,
    batch: ++world.batches,
    acknowledged: lowestUnsettled(world),
    retry: state.attempts > 0,
    key,
    hash,
    argument: { id: number + 1, kind },
  });
  if (status === "copying" && (answered === PARKED || answered instanceof Refusal)) {
    throw new Error("a request waits although the sender is copying");
  }
  const attempts = 1;
  if (answered === PARKED) {
    world.operations[number] = { type: "inFlight", target, attempts };
    collect(world);
  } else if (isLost) {
    world.operations[number] = { type: "idle", target, attempts };
  } else {
    world.operations[number] = answer(answered, target);
  }
}

function answer(answered: Answered, target: 0 | 1): OperationState {
  if (!(answered instanceof Refusal)) return { type: "done", result: text(answered) };
  const other = target === 0 ? 1 : 0;
  switch (answered.code) {
    case "MOVED":
      return { type: "moved", target: answered.group === 11 ? 0 : 1, attempts: 1 };
    case "ABOVE_RANGE":
    case "BELOW_RANGE":
      return { type: "moved", target: other, attempts: 1 };
    case "NOT_YET":
      return { type: "moved", target, attempts: 1 };
    default:
      throw new Error(`unexpected ${answered.code}: ${answered.message}`);
  }
}

/** Hands settled parked commands to their callers. */
function collect(world: World): void {
  for (const at of [0, 1] as const) {
    for (const { request, result } of world.groups[at].settled.splice(0)) {
      const number = request - 1;
      const state = world.operations[number];
      if (state === undefined || state.type === "done" || state.type === "givenUp") continue;
      world.operations[number] = answer(result, at);
    }
  }
}

function text(answered: Answered): string {
  if (answered === PARKED) return "parked";
  if (answered instanceof EncodedResult) return JSON.stringify(decodeValue(answered.bytes));
  if (answered instanceof Refusal) return `${answered.code}`;
  return String(answered as Exclude<Result, object>);
}
