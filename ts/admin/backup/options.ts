/** Judges the options of making and restoring a backup. */
import type { BackupOptions, RestoreOptions } from "../../backup/types.ts";
import { RaftKVError } from "../../errors.ts";

/** The options that saving, checking and restoring have. @throws `INVALID_ARGUMENT` */
export function checkWorkOptions(options: unknown): BackupOptions {
  if (typeof options !== "object" || options === null) throw wrong("options have to be an object");
  const { keyspaces, onProgress, signal } = options as BackupOptions;
  const areNames =
    keyspaces === undefined ||
    (Array.isArray(keyspaces) && keyspaces.every((name) => typeof name === "string"));
  if (!areNames) throw wrong("keyspaces has to be an array of names");
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw wrong("onProgress has to be a function");
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw wrong("signal has to be an AbortSignal");
  }
  return { keyspaces, onProgress, signal };
}

/** The options of restoring. @throws `INVALID_ARGUMENT` */
export function checkRestoreOptions(options: unknown): RestoreOptions {
  const work = checkWorkOptions(options);
  const { overwrite } = options as RestoreOptions;
  if (overwrite !== undefined && typeof overwrite !== "boolean") {
    throw wrong("overwrite has to be true or false");
  }
  return { ...work, overwrite };
}

function wrong(message: string): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}
