/** Any order of commands, late and repeated ones among them, keeps the directory's invariants. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { WorkflowStep } from "../../ts/directory/workflow.ts";
import { Directory, INELIGIBLE_MS } from "./model.ts";

const step = fc.constantFrom<WorkflowStep[]>(
  "createGroup",
  "begin",
  "copy",
  "handOver",
  "publish",
  "finish",
  "removeGroup",
  "removeGroups",
  "abort",
);
const keyspace = fc.constantFrom("a", "b");
/** Which of the running workflows. */
const pick = fc.nat({ max: 20 });
/** Any id, also of a workflow that is over. */
const workflow = fc.integer({ min: 1, max: 30 });
const action = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant("register" as const), keyspace }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("deregister" as const), keyspace }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("report" as const),
      keys: fc.oneof(
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 8, maxLength: 8 }),
        fc.constant([1, 2, 3, 4, 5, 6, 7, 8]),
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("plan" as const), later: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("split" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("merge" as const), pick }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("finish" as const), pick }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant("step" as const), pick }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("late" as const), workflow, step }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("fail" as const), workflow, step }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("giveUp" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("claim" as const), workflow }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

function picked(directory: Directory, pick: number) {
  const running = directory.running();
  return running[pick % Math.max(1, running.length)];
}

function perform(directory: Directory, one: Action) {
  switch (one.do) {
    case "register":
      return directory.register(one.keyspace, { maxShards: 4 });
    case "deregister":
      return directory.send({ type: "deregister", name: one.keyspace });
    case "report": {
      const names = directory.shards().map(({ shard }) => shard.name);
      return directory.report(
        Object.fromEntries(names.map((name, at) => [name, one.keys[at % 8]!])),
      );
    }
    case "plan":
      if (one.later) directory.now += INELIGIBLE_MS;
      return directory.plan();
    case "split":
    case "merge": {
      const shards = directory.shards();
      const shard = shards[one.pick % Math.max(1, shards.length)]?.shard.name ?? "a_0";
      return directory.send({ type: one.do, shard });
    }
    case "finish":
      return directory.finish(picked(directory, one.pick)?.id ?? 0);
    case "step":
      return directory.step(picked(directory, one.pick)?.id ?? 0);
    case "giveUp": {
      const { id, step } = picked(directory, one.pick) ?? { id: 0, step: "copy" as const };
      return directory.send({ type: "fail", workflow: id, step, reason: "test" });
    }
    case "late":
      return directory.advance(one.workflow, one.step);
    case "fail": {
      const { workflow, step } = one;
      return directory.send({ type: "fail", workflow, step, reason: "test" });
    }
    case "claim":
      return directory.send({ type: "claim", workflow: one.workflow });
  }
}

test("any order of commands keeps the invariants, and all workflows come to an end", () => {
  let merges = 0;
  let splits = 0;
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120, size: "max" }), (actions) => {
      const directory = new Directory();
      directory.open("a", { maxShards: 4 });
      for (const one of actions) {
        perform(directory, one);
        for (const { kind } of directory.running()) {
          if (kind === "split") splits++;
          if (kind === "merge") merges++;
        }
      }
      for (const { id } of directory.running()) directory.finish(id);
      expect(directory.running()).toEqual([]);
      expect(directory.shards().every(({ shard }) => shard.lock === null)).toBe(true);
    }),
    { numRuns: 300 },
  );
  // The generator must reach what the test is about.
  expect(splits).toBeGreaterThan(100);
  expect(merges).toBeGreaterThan(20);
});

test("a finished step again, at any later time, changes nothing", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80, size: "max" }), step, (actions, late) => {
      const directory = new Directory();
      directory.open("a", { maxShards: 4 });
      for (const one of actions) perform(directory, one);
      for (const { id, step: present } of directory.running()) {
        if (present === late) continue;
        const before = directory.state;
        directory.advance(id, late);
        directory.send({ type: "fail", workflow: id, step: late, reason: "late" });
        expect(directory.state).toBe(before);
      }
    }),
    { numRuns: 200 },
  );
});
