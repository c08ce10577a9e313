/** How long and how often a call is tried, and what a caller learns when it fails. */
import { RaftKVError } from "../errors.ts";

/** The options of one call, complete. Times are milliseconds. */
export interface CallSettings {
  /** How long one attempt may take. */
  readonly timeout: number;
  /** How often a call is tried again after an attempt that met no leader or no answer. */
  readonly retry: number;
  /** How long to wait before such a retry. */
  readonly retryInterval: number;
  /** How often a call is tried again while its key moves between shards. */
  readonly shardLockRetry: number;
  /** How long to wait before such a retry. */
  readonly shardLockRetryInterval: number;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a query may be answered from a state that is behind. */
  readonly consistency: "linearizable" | "stale";
  /** Where attempts are counted, if anybody asked. */
  readonly trace?: { attempts: number } | undefined;
  /** For a command without a key that follows a hash from shard to shard; no caller sets it. */
  readonly place?: CallPlace;
}

/** Where a command without a key begins in a keyspace's hash space: at the shard that owns a hash. */
export interface CallPlace {
  /** Results that are kept for retries go where this hash goes. */
  readonly hash: number;
  /** The route to the group that owns the hash now, if it is known. */
  route(): number | undefined;
}

/** What a call is about, for its errors. */
export interface CallTarget {
  readonly keyspace?: string;
  readonly group?: string;
}

/** What the client asks the rest of the node. */
export interface ClientContext {
  /** What a route is about, for errors. */
  target(route: number): CallTarget;
  /** The error that storage failed with, if it did. */
  storageError(): RaftKVError | undefined;
  /** Why nothing will answer for a route: MODULE_NOT_BOUND, NO_SUCH_SHARD ..., if that is known. */
  absence(route: number): RaftKVError | undefined;
}

/** The default settings, as in RaftKV. */
export const DEFAULT_CALL: CallSettings = {
  timeout: 500,
  retry: 3,
  retryInterval: 1000,
  shardLockRetry: 3,
  shardLockRetryInterval: 200,
  consistency: "linearizable",
};

/** How long a call with the default settings is tried in all, in milliseconds. */
export const DEFAULT_CALL_MS: number =
  DEFAULT_CALL.timeout + DEFAULT_CALL.retry * (DEFAULT_CALL.retryInterval + DEFAULT_CALL.timeout);

/** What is known of a failed command's effect. */
export type Outcome = "unknown" | "not applied";

const ADVICE = {
  NO_LEADER: "no leader answered; the majority of the group's nodes may be down. Try again later",
  TIMEOUT: "no answer came in time. The node may be overloaded or its disk slow",
  SHARD_TRANSITION_TIMEOUT: "the key's shard is being split or merged. Try again",
  STORAGE_FAILED: "the node's storage failed; it must be closed and opened again",
  STORAGE_FULL: "the node's disk is full; free space, then close the node and open it again",
  DATA_CORRUPTED: "the node's data is damaged; see the error that the node reported",
  OVERLOADED: "too much is waiting already. Call less at once, or try again later",
  CLOSED: "the node is closed",
  ABORTED: "the caller's signal ended the call",
  NO_SUCH_SHARD: "the shard does not exist here any more",
  MODULE_NOT_BOUND: "this node's program has not bound the code; call openKeyspace first",
} as const;

/** The error of a call that ended for the reason `code`. */
export function callError(
  code: keyof typeof ADVICE,
  outcome: Outcome,
  target: CallTarget,
  cause?: unknown,
): RaftKVError {
  const where = target.keyspace ?? target.group;
  const place = where === undefined ? "" : ` (${where})`;
  const effect = outcome === "unknown" ? "; the command may have been applied" : "";
  return new RaftKVError(code, `${ADVICE[code]}${place}${effect}`, {
    outcome,
    ...target,
    ...(cause === undefined ? {} : { cause }),
  });
}
