import { describe, expect, test } from "vitest";
import { checkPolicy } from "../../ts/api/checks.ts";
import {
  isValidPolicy,
  loadRatio,
  policyProblem,
  SplitMergePolicy,
  type SplitMergePolicyInput,
} from "../../ts/policy.ts";

describe("a policy", () => {
  test("has RaftKV's defaults", () => {
    const policy = new SplitMergePolicy({ maxShards: 16 });
    expect({ ...policy }).toEqual({
      maxShards: 16,
      minShards: 1,
      maxKeysPerShard: undefined,
      maxSizePerShard: undefined,
      maxLoadPerShard: undefined,
      loadPerQueryToMissingKey: 0,
      mergeThresholdRatio: 0.5,
    });
    expect(policy.isValid()).toBe(true);
    expect(Object.isFrozen(policy)).toBe(true);
  });

  test("comes back from its fields", () => {
    const policy = new SplitMergePolicy({
      maxShards: 4,
      minShards: 2,
      maxKeysPerShard: 10,
      maxSizePerShard: 1.5,
      maxLoadPerShard: 3,
      loadPerQueryToMissingKey: 1,
      mergeThresholdRatio: 0,
    });
    expect(new SplitMergePolicy(policy.fields())).toEqual(policy);
    expect(SplitMergePolicy.from(policy)).toBe(policy);
    expect(SplitMergePolicy.from({ maxShards: 3 }).maxShards).toBe(3);
  });

  test.each<[string, SplitMergePolicyInput]>([
    ["equal bounds", { maxShards: 2, minShards: 2 }],
    ["thresholds of null", { maxShards: 1, maxKeysPerShard: null, maxSizePerShard: null }],
    ["the ends of the ratio", { maxShards: 1, mergeThresholdRatio: 1 }],
    ["undefined fields", { maxShards: 1, minShards: undefined, mergeThresholdRatio: undefined }],
    ["a fraction as size", { maxShards: 1, maxSizePerShard: 0.5 }],
  ])("with %s is valid", (_, fields) => {
    expect(policyProblem(fields)).toBeNull();
    expect(checkPolicy(fields)).toEqual(new SplitMergePolicy(fields).fields());
  });

  const throwing = {
    get maxShards(): number {
      throw new Error("no");
    },
  };
  test.each<[string, unknown, RegExp]>([
    ["nothing", undefined, /not undefined/],
    ["null", null, /not null/],
    ["a number", 3, /not a number/],
    ["a list", [], /not an array/],
    ["a getter that throws", throwing, /cannot be read/],
    ["no maxShards", {}, /maxShards .*not undefined/],
    ["maxShards 0", { maxShards: 0 }, /maxShards .*not 0/],
    ["maxShards 1.5", { maxShards: 1.5 }, /maxShards .*not 1.5/],
    ["maxShards as text", { maxShards: "3" }, /maxShards .*not a string/],
    ["maxShards without end", { maxShards: Infinity }, /maxShards/],
    ["minShards 0", { maxShards: 1, minShards: 0 }, /minShards/],
    ["minShards null", { maxShards: 1, minShards: null }, /minShards/],
    ["minShards above", { maxShards: 2, minShards: 3 }, /minShards \(3\) is above maxShards \(2\)/],
    ["keys of 0", { maxShards: 1, maxKeysPerShard: 0 }, /maxKeysPerShard/],
    ["keys of 1.5", { maxShards: 1, maxKeysPerShard: 1.5 }, /maxKeysPerShard/],
    ["a size of 0", { maxShards: 1, maxSizePerShard: 0 }, /maxSizePerShard/],
    ["a size of NaN", { maxShards: 1, maxSizePerShard: Number.NaN }, /maxSizePerShard .*NaN/],
    ["a bigint as load", { maxShards: 1, maxLoadPerShard: 1n }, /maxLoadPerShard .*a bigint/],
    ["a load without end", { maxShards: 1, maxLoadPerShard: Infinity }, /maxLoadPerShard/],
    ["a load below 0", { maxShards: 1, loadPerQueryToMissingKey: -1 }, /loadPerQueryToMissingKey/],
    ["a ratio above 1", { maxShards: 1, mergeThresholdRatio: 1.1 }, /mergeThresholdRatio/],
    ["a ratio below 0", { maxShards: 1, mergeThresholdRatio: -0.1 }, /mergeThresholdRatio/],
    ["a ratio of null", { maxShards: 1, mergeThresholdRatio: null }, /mergeThresholdRatio/],
    ["a misspelt name", { maxShards: 1, maxKeyPerShard: 3 }, /"maxKeyPerShard".*maxKeysPerShard/],
    ["an unknown name", { maxShards: 1, replicationFactor: 3 }, /The fields are/],
  ])("with %s is not, and says what is wrong", (_, fields, message) => {
    const policy = new SplitMergePolicy(fields as SplitMergePolicyInput);
    expect(policy.isValid()).toBe(false);
    expect(isValidPolicy(fields)).toBe(false);
    expect(policyProblem(fields)).toMatch(message);
    expect(policyProblem(policy)).toMatch(message);
    for (const given of [fields, policy]) {
      expect(() => checkPolicy(given)).toThrow(
        expect.objectContaining({
          code: "INVALID_POLICY",
          message: expect.stringMatching(message),
        }),
      );
    }
  });
});

describe("loadRatio", () => {
  const counts = { keys: 50, size: 30, load: 8 };
  test.each<[string, SplitMergePolicyInput, number]>([
    ["no threshold", { maxShards: 9 }, 0],
    ["keys alone", { maxShards: 9, maxKeysPerShard: 100 }, 0.5],
    ["size alone", { maxShards: 9, maxSizePerShard: 10 }, 3],
    ["load alone", { maxShards: 9, maxLoadPerShard: 16 }, 0.5],
    [
      "all: the greatest counts",
      { maxShards: 9, maxKeysPerShard: 100, maxSizePerShard: 300, maxLoadPerShard: 10 },
      0.8,
    ],
  ])("by %s", (_, fields, ratio) => {
    expect(loadRatio(new SplitMergePolicy(fields), counts)).toBe(ratio);
  });
});
