/** The errors of calls that user code or a group's state refused. */
import { RaftKVError } from "../errors.ts";
import { Refusal } from "../machine/machine.ts";
import { type CallTarget, type ClientContext, callError } from "./call.ts";

/** The error of a command that was refused for good. */
export function commandError(refusal: Refusal, target: CallTarget): RaftKVError {
  const details = { outcome: "not applied", ...target } as const;
  if (refusal.code === "COMMAND_FAILED") {
    return new RaftKVError("COMMAND_FAILED", refusal.message, details);
  }
  return new RaftKVError("INTERNAL", refusal.message, { ...details, cause: refusal });
}

/** The refusal behind an error, when it is one that concerns raft-kv's own commands. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof RaftKVError)) return undefined;
  return error.cause instanceof Refusal ? error.cause : undefined;
}

/** The error of a query that failed. */
export function queryError(refusal: Refusal, target: CallTarget): RaftKVError {
  return new RaftKVError("QUERY_FAILED", refusal.message, { outcome: "not applied", ...target });
}

/** A rejected promise to resolve a caller's promise with; nobody else will listen to it. */
export function rejected(error: RaftKVError): Promise<never> {
  const promise = Promise.reject(error);
  // The caller's promise adopts this one in a later microtask; until then nobody listens to it.
  promise.catch(() => {});
  return promise;
}

/** The same error, saying what is known of the command's effect. */
export function withOutcome(error: RaftKVError, outcome: "unknown" | "not applied"): RaftKVError {
  return new RaftKVError(error.code, error.message, { cause: error, outcome });
}

/** The error of a request whose node's storage failed. */
export function storageFailure(
  context: ClientContext,
  route: number,
  outcome: "unknown" | "not applied",
): RaftKVError {
  const cause = context.storageError();
  if (cause !== undefined) return withOutcome(cause, outcome);
  return callError("STORAGE_FAILED", outcome, context.target(route));
}

/** Whatever was thrown, as an error of the public kind. */
export function asError(error: unknown): RaftKVError {
  if (error instanceof RaftKVError) return error;
  return new RaftKVError("INTERNAL", String(error), { cause: error });
}
