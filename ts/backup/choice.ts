/** What saving and restoring have in common: which keyspaces, and how an early end is told. */
import { RaftKVError } from "../errors.ts";
import { nearestName } from "../names.ts";
import { failed } from "./format.ts";

/** The keyspaces of these names; all where none are named. @throws `NO_SUCH_KEYSPACE` */
export function chosen<K extends { readonly name: string }>(
  all: readonly K[],
  names: readonly string[] | undefined,
  where: string,
): readonly K[] {
  if (names === undefined) return all;
  return [...new Set(names)].map((name) => {
    const found = all.find((keyspace) => keyspace.name === name);
    if (found !== undefined) return found;
    const known = all.map((keyspace) => keyspace.name);
    const near = nearestName(name, known);
    const hint = near === null ? "" : ` Is ${near} meant?`;
    const message = `${where} has no keyspace ${name}.${hint}`;
    throw new RaftKVError("NO_SUCH_KEYSPACE", message, { keyspace: name });
  });
}

/** The error to tell of work on a backup that ended early. */
export function endedBy(signal: AbortSignal | undefined, error: unknown): RaftKVError {
  if (error instanceof RaftKVError) return error;
  if (signal?.aborted === true) {
    return new RaftKVError("ABORTED", "the caller's signal ended the work on the backup");
  }
  return failed("the work on the backup ended early", error);
}
