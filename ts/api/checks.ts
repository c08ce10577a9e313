/** Judges names, modules and policies that a program passes to the public functions. */

import { isPromise } from "node:util/types";
import { kindOf } from "../codec/kind.ts";
import { checkStorable } from "../codec/storable.ts";
import { RaftKVError } from "../errors.ts";
import {
  GROUP_NAME_LENGTH_MAX,
  KEYSPACE_NAME_LENGTH_MAX,
  ZONE_NAME_LENGTH_MAX,
} from "../limits.ts";
import { policyProblem, SplitMergePolicy, type SplitMergePolicyFields } from "../policy.ts";
import { checkNames, invalidOption, isRecord, judged, shown } from "./option-values.ts";

const KEYSPACE_NAME = /^[A-Za-z0-9_.-]+$/;
const CONTROL_CHARACTER = /\p{Cc}|\p{Surrogate}/u;
/** How the names of the groups begin that raft-kv itself needs. */
const RESERVED = ["RaftKV.", "RaftFleet."] as const;

/** Refuses what cannot name a keyspace. @throws `INVALID_KEYSPACE_NAME` */
export function checkKeyspaceName(name: unknown): asserts name is string {
  const problem =
    typeof name !== "string" || !KEYSPACE_NAME.test(name)
      ? "has to be a text of letters, digits, _, . and -"
      : (tooLong(name, KEYSPACE_NAME_LENGTH_MAX) ?? reserved(name));
  if (problem === null) return;
  throw new RaftKVError("INVALID_KEYSPACE_NAME", `The keyspace name ${shown(name)} ${problem}.`, {
    ...(typeof name === "string" ? { keyspace: name.slice(0, KEYSPACE_NAME_LENGTH_MAX) } : {}),
    outcome: "not applied",
  });
}

/** Refuses what cannot name a consensus group of a program. @throws `INVALID_ARGUMENT` */
export function checkGroupName(name: unknown): asserts name is string {
  const problem = problemOfText(name, GROUP_NAME_LENGTH_MAX) ?? reserved(name as string);
  if (problem === null) return;
  throw new RaftKVError("INVALID_ARGUMENT", `The group name ${shown(name)} ${problem}.`, {
    outcome: "not applied",
  });
}

/** Refuses what cannot name a zone. @throws `INVALID_ZONE` */
export function checkZone(zone: unknown): asserts zone is string {
  const problem = problemOfText(zone, ZONE_NAME_LENGTH_MAX);
  if (problem === null) return;
  throw new RaftKVError(
    "INVALID_ZONE",
    `The zone ${shown(zone)} ${problem}. A zone names the data centre that a node is in.`,
  );
}

/** Refuses a `ValuePerKey` and hook that lack a function. @throws `INVALID_MODULE` */
export function checkModule(module: unknown, hook: unknown): void {
  judged("INVALID_MODULE", "The module or hook", () => {
    checkFunctions("ValuePerKey module", module, ["command", "query"]);
    if (hook === null || hook === undefined) return;
    checkHook("LeaderHook", hook);
  });
}

/** Refuses a `DataModule` that lacks a function. @throws `INVALID_MODULE` */
export function checkDataModule(module: unknown, hook?: unknown): void {
  judged("INVALID_MODULE", "The module or hook", () => {
    checkFunctions("DataModule", module, ["init", "command", "query"]);
    if (hook === null || hook === undefined) return;
    checkHook("hook of a group", hook);
  });
}

/** Refuses a `DataModule` that cannot make its first state. @throws `INVALID_MODULE` */
export function checkFirstState(module: { init(): unknown }): void {
  let problem: string | null;
  let cause: unknown;
  try {
    const state = module.init();
    problem = isPromise(state) ? "it returned a promise" : checkStorable(state);
    if (isPromise(state)) state.catch(() => undefined);
  } catch (thrown) {
    problem = `it threw ${thrown instanceof Error ? thrown.message : kindOf(thrown)}`;
    cause = thrown;
  }
  if (problem === null) return;
  const message = `The init of the DataModule cannot be used: ${problem}.`;
  throw new RaftKVError("INVALID_MODULE", message, cause === undefined ? {} : { cause });
}

/** Refuses options of a keyspace's Raft groups. @throws `INVALID_OPTION` */
export function checkRaftOptions(options: unknown): void {
  if (options === undefined) return;
  judged("INVALID_OPTION", "The options of a keyspace's groups", () => {
    if (!isRecord(options)) throw invalidOption("raftOptions", options, "an object");
    checkNames("option of a keyspace's groups", options, ["replicas", "checkDeterminism"]);
    const { checkDeterminism } = options;
    if (checkDeterminism !== undefined && typeof checkDeterminism !== "boolean") {
      throw invalidOption("checkDeterminism", checkDeterminism, "true or false");
    }
    if (options.replicas !== undefined) checkReplicas(options.replicas, "INVALID_OPTION");
  });
}

/** Refuses a number of replicas that no group can have. */
export function checkReplicas(
  replicas: unknown,
  code: "INVALID_OPTION" | "INVALID_ARGUMENT",
): void {
  if (Number.isSafeInteger(replicas) && (replicas as number) >= 1) return;
  const message = `replicas is ${shown(replicas)}, but has to be a positive whole number.`;
  throw new RaftKVError(code, message);
}

/** The complete fields of a policy. @throws `INVALID_POLICY` */
export function checkPolicy(policy: unknown): SplitMergePolicyFields {
  const given = judged("INVALID_POLICY", "The policy", () =>
    SplitMergePolicy.from(policy as SplitMergePolicy),
  );
  const problem = policyProblem(given);
  if (problem === null) return given.fields();
  throw new RaftKVError("INVALID_POLICY", `The policy cannot be used: ${problem}.`);
}

function problemOfText(value: unknown, lengthMax: number): string | null {
  if (typeof value !== "string" || value === "") return "has to be a text that is not empty";
  if (CONTROL_CHARACTER.test(value)) return "has to be without control characters";
  return tooLong(value, lengthMax);
}

function tooLong(value: string, lengthMax: number): string | null {
  return value.length > lengthMax ? `has to be of at most ${lengthMax} characters` : null;
}

function reserved(name: string): string | null {
  const prefix = RESERVED.find((start) => name.startsWith(start));
  return prefix === undefined ? null : `begins with "${prefix}", which is kept for raft-kv itself`;
}

function checkFunctions(what: string, module: unknown, names: readonly string[]): void {
  if (!isRecord(module) && typeof module !== "function") {
    throw invalidModule(what, names, `it is ${kindOf(module)}`);
  }
  for (const name of names) {
    const member: unknown = Reflect.get(module as object, name);
    if (typeof member !== "function") throw invalidModule(what, names, lacks(name, member));
  }
}

const HOOKS = ["onCommandCommitted", "onQueryAnswered"] as const;

function checkHook(what: string, hook: unknown): void {
  if (!isRecord(hook) && typeof hook !== "function") {
    throw invalidModule(what, HOOKS, `it is ${kindOf(hook)}`);
  }
  const members = HOOKS.map((name): unknown => Reflect.get(hook as object, name));
  const wrong = members.findIndex((member) => member !== undefined && typeof member !== "function");
  if (wrong >= 0) throw invalidModule(what, HOOKS, lacks(HOOKS[wrong] as string, members[wrong]));
  if (members.every((member) => member === undefined)) {
    throw invalidModule(what, HOOKS, "it has neither");
  }
}

function lacks(name: string, member: unknown): string {
  return member === undefined ? `${name} is missing` : `${name} is ${kindOf(member)}`;
}

function invalidModule(what: string, names: readonly string[], problem: string): RaftKVError {
  return new RaftKVError(
    "INVALID_MODULE",
    `The ${what} has to be an object with the functions ${names.join(", ")}: ${problem}.`,
  );
}
