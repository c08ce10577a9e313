/**
 * When shards are split and merged: the policy of a keyspace, its rules, and how far a shard has
 * filled it. Fields, defaults and meaning are those of RaftKV's `SplitMergePolicy`.
 */

import { kindOf } from "./codec/kind.ts";
import { nearestName } from "./names.ts";

/** A complete policy as plain data, as the directory keeps it. */
export interface SplitMergePolicyFields {
  /** No shard is split while the keyspace has this many. */
  readonly maxShards: number;
  /** No shards are merged while the keyspace has this few. */
  readonly minShards: number;
  /** A shard with more keys is split; unset: the number of keys does not count. */
  readonly maxKeysPerShard?: number | undefined;
  /** A shard of a greater size, in the units of the keyspace's commands, is split. */
  readonly maxSizePerShard?: number | undefined;
  /** A shard under a greater load in a statistics interval, in the module's units, is split. */
  readonly maxLoadPerShard?: number | undefined;
  /** The load that counts for a query of a key that does not exist. */
  readonly loadPerQueryToMissingKey: number;
  /** Two neighbours merge when all their ratios are, even together, below this. 0 to 1. */
  readonly mergeThresholdRatio: number;
}

/** A policy as a program states it: what is left out takes its default. `null` counts as unset. */
export interface SplitMergePolicyInput {
  readonly maxShards: number;
  /** Default 1. */
  readonly minShards?: number | undefined;
  readonly maxKeysPerShard?: number | null | undefined;
  readonly maxSizePerShard?: number | null | undefined;
  readonly maxLoadPerShard?: number | null | undefined;
  /** Default 0. */
  readonly loadPerQueryToMissingKey?: number | undefined;
  /** Default 0.5. */
  readonly mergeThresholdRatio?: number | undefined;
}

/** What is counted of a shard; load includes that of queries to missing keys. */
export interface ShardCounts {
  readonly keys: number;
  readonly size: number;
  readonly load: number;
}

const FIELD_NAMES = [
  "maxShards",
  "minShards",
  "maxKeysPerShard",
  "maxSizePerShard",
  "maxLoadPerShard",
  "loadPerQueryToMissingKey",
  "mergeThresholdRatio",
] as const satisfies readonly (keyof SplitMergePolicyFields)[];

/**
 * A keyspace's policy. The constructor takes anything; `isValid()` and the functions that are given
 * a policy judge it. Thresholds that are unset are not considered; with all three unset nothing is
 * ever split or merged.
 */
export class SplitMergePolicy implements SplitMergePolicyFields {
  readonly maxShards: number;
  readonly minShards: number;
  readonly maxKeysPerShard: number | undefined;
  readonly maxSizePerShard: number | undefined;
  readonly maxLoadPerShard: number | undefined;
  readonly loadPerQueryToMissingKey: number;
  readonly mergeThresholdRatio: number;
  readonly #problem: string | null;

  constructor(fields: SplitMergePolicyInput) {
    let given: Record<string, unknown> = {};
    let problem = problemOfShape(fields);
    try {
      if (problem === null) given = { ...(fields as object) };
    } catch {
      problem = "the policy's fields cannot be read";
    }
    // Whatever was given stands in the fields as it is, so that it can be shown.
    this.maxShards = given.maxShards as number;
    this.minShards = valueOr(given.minShards, 1);
    this.maxKeysPerShard = (given.maxKeysPerShard ?? undefined) as number | undefined;
    this.maxSizePerShard = (given.maxSizePerShard ?? undefined) as number | undefined;
    this.maxLoadPerShard = (given.maxLoadPerShard ?? undefined) as number | undefined;
    this.loadPerQueryToMissingKey = valueOr(given.loadPerQueryToMissingKey, 0);
    this.mergeThresholdRatio = valueOr(given.mergeThresholdRatio, 0.5);
    this.#problem = problem ?? problemOfNames(given) ?? problemOfFields(this);
    Object.freeze(this);
  }

  /** A policy from plain data; a policy is returned as it is. */
  static from(policy: SplitMergePolicyInput | SplitMergePolicy): SplitMergePolicy {
    return policy instanceof SplitMergePolicy ? policy : new SplitMergePolicy(policy);
  }

  /** The first thing that is wrong with a policy, in words, or `null`. */
  static problem(policy: SplitMergePolicy): string | null {
    return policy.#problem;
  }

  /** Whether every field is of its type and range, and `minShards` is at most `maxShards`. */
  isValid(): boolean {
    return this.#problem === null;
  }

  /** The policy as plain data, without what is unset. */
  fields(): SplitMergePolicyFields {
    const { maxKeysPerShard, maxSizePerShard, maxLoadPerShard } = this;
    return {
      maxShards: this.maxShards,
      minShards: this.minShards,
      ...(maxKeysPerShard === undefined ? {} : { maxKeysPerShard }),
      ...(maxSizePerShard === undefined ? {} : { maxSizePerShard }),
      ...(maxLoadPerShard === undefined ? {} : { maxLoadPerShard }),
      loadPerQueryToMissingKey: this.loadPerQueryToMissingKey,
      mergeThresholdRatio: this.mergeThresholdRatio,
    };
  }
}

/** The first thing that is wrong with what was given as a policy, naming the field, or `null`. */
export function policyProblem(policy: unknown): string | null {
  return SplitMergePolicy.problem(SplitMergePolicy.from(policy as SplitMergePolicyInput));
}

/** Whether what was given is a policy that can be used. */
export function isValidPolicy(policy: unknown): boolean {
  return policyProblem(policy) === null;
}

/** How full a shard is: the greatest ratio of a count to its threshold, 0 when none is set. */
export function loadRatio(policy: SplitMergePolicyFields, counts: ShardCounts): number {
  return Math.max(
    ratio(counts.keys, policy.maxKeysPerShard),
    ratio(counts.size, policy.maxSizePerShard),
    ratio(counts.load, policy.maxLoadPerShard),
  );
}

function ratio(count: number, threshold: number | undefined): number {
  return threshold === undefined ? 0 : count / threshold;
}

function valueOr(value: unknown, fallback: number): number {
  return value === undefined ? fallback : (value as number);
}

function problemOfShape(fields: unknown): string | null {
  if (typeof fields === "object" && fields !== null && !Array.isArray(fields)) return null;
  return `a policy is an object with maxShards and thresholds, not ${kindOf(fields)}`;
}

function problemOfNames(given: object): string | null {
  for (const name of Object.keys(given)) {
    if ((FIELD_NAMES as readonly string[]).includes(name)) continue;
    const near = nearestName(name, FIELD_NAMES);
    const hint = near === null ? `The fields are ${FIELD_NAMES.join(", ")}` : `Is ${near} meant?`;
    return `there is no field ${JSON.stringify(name.slice(0, 60))}. ${hint}`;
  }
  return null;
}

function problemOfFields(policy: SplitMergePolicyFields): string | null {
  return (
    wholeNumber("maxShards", policy.maxShards) ??
    wholeNumber("minShards", policy.minShards) ??
    (policy.minShards <= policy.maxShards
      ? null
      : `minShards (${policy.minShards}) is above maxShards (${policy.maxShards})`) ??
    (policy.maxKeysPerShard === undefined
      ? null
      : wholeNumber("maxKeysPerShard", policy.maxKeysPerShard)) ??
    threshold("maxSizePerShard", policy.maxSizePerShard) ??
    threshold("maxLoadPerShard", policy.maxLoadPerShard) ??
    (isNumberWithin(policy.loadPerQueryToMissingKey, 0, Number.MAX_VALUE)
      ? null
      : wrong("loadPerQueryToMissingKey", "a number of at least 0", policy)) ??
    (isNumberWithin(policy.mergeThresholdRatio, 0, 1)
      ? null
      : wrong("mergeThresholdRatio", "a number from 0 to 1", policy))
  );
}

function isNumberWithin(value: unknown, low: number, high: number): boolean {
  return typeof value === "number" && value >= low && value <= high;
}

function wholeNumber(name: keyof SplitMergePolicyFields, value: unknown): string | null {
  if (Number.isSafeInteger(value) && (value as number) > 0) return null;
  return wrong(name, "a positive whole number", { [name]: value });
}

function threshold(name: keyof SplitMergePolicyFields, value: unknown): string | null {
  if (value === undefined || (isNumberWithin(value, 0, Number.MAX_VALUE) && value !== 0))
    return null;
  return wrong(name, "a positive number, or unset", { [name]: value });
}

function wrong(
  name: keyof SplitMergePolicyFields,
  allowed: string,
  given: Partial<Record<keyof SplitMergePolicyFields, unknown>>,
): string {
  const value = given[name];
  const shown = typeof value === "number" ? String(value) : kindOf(value);
  return `${name} has to be ${allowed}, not ${shown}`;
}
