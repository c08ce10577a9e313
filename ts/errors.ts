/**
 * The one error class of the public API. Programs branch on `code`, or, where the exact cause does
 * not matter to them, on `action`. Messages address a person: what is wrong and what to do.
 */

/** What a caller can do about an error. */
export type ErrorAction =
  /** The same call may succeed later. */
  | "retry"
  /** The call, the configuration or user code has to change first. */
  | "fix"
  /** This node is of no more use: remove the cause, then open it again. */
  | "reopen"
  /** Data is damaged or raft-kv is wrong: keep the data directory and report it. */
  | "report";

/** Whether a command that failed may have taken effect. */
export type Outcome = "unknown" | "not applied";

const ACTIONS = {
  ABORTED: "retry",
  ACCESS_DENIED: "fix",
  ADDRESS_IN_USE: "fix",
  ALREADY_ADDED: "fix",
  ALREADY_REGISTERED: "fix",
  BACKUP_DAMAGED: "fix",
  BACKUP_FAILED: "retry",
  CLEANUP_ONGOING: "retry",
  CLOSED: "reopen",
  CLUSTER_MISMATCH: "fix",
  COMMAND_FAILED: "fix",
  DATA_CLONE: "fix",
  DATA_CORRUPTED: "report",
  DATA_DIR_LOCKED: "fix",
  INTERNAL: "report",
  INVALID_ARGUMENT: "fix",
  INVALID_KEY: "fix",
  INVALID_KEYSPACE_NAME: "fix",
  INVALID_MODULE: "fix",
  INVALID_OPTION: "fix",
  INVALID_POLICY: "fix",
  INVALID_ZONE: "fix",
  MERGE_IMPOSSIBLE: "fix",
  MODULE_NOT_BOUND: "fix",
  NOT_ACTIVE: "fix",
  NOT_DETERMINISTIC: "fix",
  NOT_FOUND: "fix",
  NOT_INACTIVE: "fix",
  NO_LEADER: "retry",
  NO_SUCH_KEYSPACE: "fix",
  NO_SUCH_SHARD: "fix",
  OVERLOADED: "retry",
  QUERY_FAILED: "fix",
  RESTORE_CONFLICT: "fix",
  SHARD_BUSY: "retry",
  SHARD_TRANSITION_TIMEOUT: "retry",
  SPLIT_IMPOSSIBLE: "fix",
  STORAGE_FAILED: "reopen",
  STORAGE_FULL: "reopen",
  TIMEOUT: "retry",
} as const satisfies Record<string, ErrorAction>;

/** What went wrong; every value that `RaftKVError.code` can have. */
export type ErrorCode = keyof typeof ACTIONS;

/** Every error code, sorted. */
export const ERROR_CODES = Object.freeze(Object.keys(ACTIONS)) as readonly ErrorCode[];

/** What is known about an error beyond its code and message. */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly outcome?: Outcome | undefined;
  readonly keyspace?: string | undefined;
  readonly shard?: string | undefined;
  readonly group?: string | undefined;
  readonly node?: string | undefined;
  /** Replaces the action that the code stands for. */
  readonly action?: ErrorAction | undefined;
}

/** The action that a code stands for. */
export function actionOf(code: ErrorCode): ErrorAction {
  return ACTIONS[code];
}

/** Every failure of raft-kv's functions is one of these. */
export class RaftKVError extends Error {
  /** What went wrong. */
  readonly code: ErrorCode;
  /** What the caller can do about it. */
  readonly action: ErrorAction;
  /** For a command: whether it may have taken effect all the same. */
  declare readonly outcome?: Outcome;
  /** The keyspace that the call was about, where known. */
  declare readonly keyspace?: string;
  /** The shard that the call was about, where known. */
  declare readonly shard?: string;
  /** The consensus group that the call was about, where known. */
  declare readonly group?: string;
  /** The node that the failure came from, where known. */
  declare readonly node?: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.action = details.action ?? ACTIONS[code];
    // What a caller has to mend first was refused before anything of it took effect.
    const outcome = details.outcome ?? (ACTIONS[code] === "fix" ? "not applied" : undefined);
    if (outcome !== undefined) this.outcome = outcome;
    if (details.keyspace !== undefined) this.keyspace = details.keyspace;
    if (details.shard !== undefined) this.shard = details.shard;
    if (details.group !== undefined) this.group = details.group;
    if (details.node !== undefined) this.node = details.node;
  }
}

// On the prototype, as the built-in errors have it: not an own, enumerable property of each.
Object.defineProperty(RaftKVError.prototype, "name", {
  value: "RaftKVError",
  writable: true,
  configurable: true,
});
