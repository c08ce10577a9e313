import { expect, test } from "vitest";
import { actionOf, ERROR_CODES, RaftKVError } from "../ts/errors.ts";

test("an error carries its code, what to do, and what is known", () => {
  const cause = new Error("below");
  const error = new RaftKVError("TIMEOUT", "No answer came.", {
    cause,
    outcome: "unknown",
    keyspace: "kv",
    shard: "kv_0",
    group: "kv_0",
    node: "a",
  });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: "RaftKVError",
    message: "No answer came.",
    code: "TIMEOUT",
    action: "retry",
    cause,
    outcome: "unknown",
    keyspace: "kv",
    shard: "kv_0",
    group: "kv_0",
    node: "a",
  });
  expect(String(error)).toBe("RaftKVError: No answer came.");
  expect(error.stack).toContain("errors.test.ts");
});

test("what is not known is not there", () => {
  const error = new RaftKVError("CLOSED", "The node is closed.", { outcome: undefined });
  expect(Object.keys(error).sort()).toEqual(["action", "code"]);
  expect("cause" in error).toBe(false);
});

test("every code stands for an action, which one error may replace", () => {
  for (const code of ERROR_CODES) {
    expect(["retry", "fix", "reopen", "report"]).toContain(actionOf(code));
    expect(new RaftKVError(code, "m").action).toBe(actionOf(code));
  }
  expect(new RaftKVError("TIMEOUT", "m", { action: "report" }).action).toBe("report");
});

test("codes are sorted, and none is gone: programs compare with them", () => {
  expect([...ERROR_CODES].sort()).toEqual(ERROR_CODES);
  const promised = `NOT_INACTIVE ALREADY_ADDED CLEANUP_ONGOING NO_LEADER NOT_FOUND NOT_ACTIVE
    INVALID_POLICY ALREADY_REGISTERED INVALID_KEYSPACE_NAME NO_SUCH_KEYSPACE COMMAND_FAILED
    QUERY_FAILED DATA_CLONE TIMEOUT SHARD_TRANSITION_TIMEOUT ABORTED OVERLOADED DATA_DIR_LOCKED
    DATA_CORRUPTED STORAGE_FULL STORAGE_FAILED CLUSTER_MISMATCH ADDRESS_IN_USE INVALID_OPTION
    INVALID_ZONE INVALID_MODULE INVALID_KEY MODULE_NOT_BOUND NO_SUCH_SHARD CLOSED
    INVALID_ARGUMENT INTERNAL NOT_DETERMINISTIC ACCESS_DENIED SHARD_BUSY SPLIT_IMPOSSIBLE
    MERGE_IMPOSSIBLE BACKUP_DAMAGED BACKUP_FAILED RESTORE_CONFLICT`;
  expect(promised.split(/\s+/).sort()).toEqual(ERROR_CODES);
});
