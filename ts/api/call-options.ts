/** Options of one call. */

import { type CallSettings, DEFAULT_CALL } from "../client/call.ts";
import { RaftKVError } from "../errors.ts";
import { OPTION_TIME_MAX_MS, RETRIES_MAX } from "../limits.ts";
import { checkNames, invalidOption, isRecord, judged, shown } from "./option-values.ts";

/** Options of one command or query. Times are milliseconds. */
export interface CallOptions {
  /** How long one attempt may take. Default 500. */
  readonly timeout?: number | undefined;
  /** How often a call is tried again after no leader or no answer. Default 3. */
  readonly retry?: number | undefined;
  /** How long to wait before such a retry. Default 1000. */
  readonly retryInterval?: number | undefined;
  /** How often a call is tried again while its key moves between shards. Default 3. */
  readonly shardLockRetry?: number | undefined;
  /** How long to wait before such a retry. Default 200. */
  readonly shardLockRetryInterval?: number | undefined;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** For queries: "stale" may be answered from a state that is behind. Default "linearizable". */
  readonly consistency?: "linearizable" | "stale" | undefined;
}

const NAMES = [
  "timeout",
  "retry",
  "retryInterval",
  "shardLockRetry",
  "shardLockRetryInterval",
  "signal",
  "consistency",
] as const satisfies readonly (keyof CallOptions)[];

/** The complete settings of a call. @throws `INVALID_OPTION` */
export function resolveCallOptions(options: CallOptions | undefined): CallSettings {
  if (options === undefined) return DEFAULT_CALL;
  return judged("INVALID_OPTION", "The options of a call", () => complete(options));
}

function complete(options: CallOptions): CallSettings {
  if (!isRecord(options)) {
    throw new RaftKVError(
      "INVALID_OPTION",
      `The options of a call have to be an object such as { timeout: 500 }, not ${shown(options)}.`,
    );
  }
  checkNames("call option", options, NAMES);
  return {
    timeout: time("timeout", options, 1),
    retry: count("retry", options),
    retryInterval: time("retryInterval", options, 0),
    shardLockRetry: count("shardLockRetry", options),
    shardLockRetryInterval: time("shardLockRetryInterval", options, 0),
    signal: signal(options.signal),
    consistency: consistency(options.consistency),
  };
}

function time(
  name: "timeout" | "retryInterval" | "shardLockRetryInterval",
  options: CallOptions,
  least: number,
): number {
  const value: unknown = options[name];
  if (value === undefined) return DEFAULT_CALL[name];
  if (typeof value === "number" && value >= least && value <= OPTION_TIME_MAX_MS) return value;
  throw invalidOption(name, value, `a time in milliseconds from ${least} to ${OPTION_TIME_MAX_MS}`);
}

function count(name: "retry" | "shardLockRetry", options: CallOptions): number {
  const value: unknown = options[name];
  if (value === undefined) return DEFAULT_CALL[name];
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= RETRIES_MAX) {
    return value as number;
  }
  throw invalidOption(name, value, `a whole number from 0 to ${RETRIES_MAX}`);
}

function signal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw invalidOption("signal", value, "an AbortSignal, such as AbortSignal.timeout(1000)");
}

function consistency(value: unknown): "linearizable" | "stale" {
  if (value === undefined) return DEFAULT_CALL.consistency;
  if (value === "linearizable" || value === "stale") return value;
  throw invalidOption("consistency", value, '"linearizable" or "stale"');
}
