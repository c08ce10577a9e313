/** The errors of calls that user code or a group's state refused. */
import { RaftKVError } from "../errors.ts";
import type { Refusal } from "../machine/machine.ts";
import type { CallTarget } from "./call.ts";

/** The error of a command that was refused for good. */
export function commandError(refusal: Refusal, target: CallTarget): RaftKVError {
  return new RaftKVError("COMMAND_FAILED", refusal.message, { outcome: "not applied", ...target });
}

/** The error of a query that failed. */
export function queryError(refusal: Refusal, target: CallTarget): RaftKVError {
  return new RaftKVError("QUERY_FAILED", refusal.message, { outcome: "not applied", ...target });
}
