/** What a call that must fail failed with. */
import { expect } from "vitest";
import { type ErrorCode, RaftKVError } from "../../../ts/index.ts";

/** Calls `call`, which must return a promise that rejects with a typed error. */
export async function failure(call: () => unknown): Promise<RaftKVError> {
  let promise: unknown;
  try {
    promise = call();
  } catch (thrown) {
    throw new Error("the call threw instead of returning a promise", { cause: thrown });
  }
  expect(promise, "the call returns a promise").toBeInstanceOf(Promise);
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    if (error instanceof RaftKVError) return error;
    throw new Error("the call failed without a RaftKVError", { cause: error });
  }
  throw new Error(`the call must fail and gave ${String(result)}`);
}

/** Expects a call to fail with one of some codes. */
export async function expectCode(call: () => unknown, ...codes: ErrorCode[]): Promise<RaftKVError> {
  const error = await failure(call);
  expect(codes, error.message).toContain(error.code);
  expect(error.message).not.toBe("");
  expect(["retry", "fix", "reopen", "report"]).toContain(error.action);
  return error;
}
