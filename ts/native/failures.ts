/** Turns what the addon throws into the typed error. */

import { ERROR_CODES, type ErrorCode, type Outcome, RaftKVError } from "../errors.ts";

/** Calls the addon. */
export function typed<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw typedError(error);
  }
}

/** Calls the addon and awaits it. */
export async function typedAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw typedError(error);
  }
}

/** N-API's own codes of a value of the wrong kind, as in "NumberExpected". */
const WRONG_KIND = /^(InvalidArg|.*Expected)$/;
const KNOWN = new Set<string>(ERROR_CODES);

/** What the codes of the boundary mean to callers. */
const MEANINGS: Readonly<Record<string, readonly [ErrorCode, Outcome?]>> = {
  NO_SUCH_GROUP: ["NOT_FOUND"],
  NO_SUCH_SNAPSHOT: ["NOT_FOUND"],
  NOT_LEADER: ["NO_LEADER"],
  TIMED_OUT: ["TIMEOUT", "unknown"],
  NODE_LOST: ["CLUSTER_MISMATCH", "not applied"],
  NOT_SENT: ["NO_LEADER", "not applied"],
  CANNOT_LISTEN: ["INVALID_OPTION"],
  INVALID_TLS: ["INVALID_OPTION"],
};

/** Does an error say that a node was given up for lost, and the cluster went on without it? */
export function saysNodeLost(error: unknown): error is RaftKVError {
  if (!(error instanceof RaftKVError)) return false;
  return Object(error.cause).code === "NODE_LOST";
}

/** What the addon threw, as the typed error. */
export function typedError(error: unknown): RaftKVError {
  if (error instanceof RaftKVError) return error;
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  const [publicCode, outcome] = meaningOf(String(code));
  return new RaftKVError(publicCode, String(message), { cause: error, outcome });
}

function meaningOf(code: string): readonly [ErrorCode, Outcome?] {
  if (KNOWN.has(code)) return [code as ErrorCode];
  return MEANINGS[code] ?? [WRONG_KIND.test(code) ? "INVALID_ARGUMENT" : "INTERNAL"];
}
