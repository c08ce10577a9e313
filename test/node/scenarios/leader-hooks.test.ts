/** RaftKV's scenario: hooks see what was committed and answered, and can disturb nobody. */
import { expect, it } from "vitest";
import type { LeaderHook, RaftKVError } from "../../../ts/index.ts";
import { counterModule } from "../support/modules.ts";
import { openNode, scratchDirectory } from "../support/nodes.ts";

type CounterHook = LeaderHook<number, unknown, "add" | "remove", number, "get", number>;

function recorder() {
  const calls: unknown[][] = [];
  const hook: CounterHook = {
    onCommandCommitted: (...args) => void calls.push(["committed", ...args]),
    onQueryAnswered: (...args) => void calls.push(["answered", ...args]),
  };
  return { calls, hook };
}

it("tells of each committed command and each answered query", async () => {
  const { calls, hook } = recorder();
  const node = await openNode();
  const counters = await node.kv.registerKeyspace("hooked", counterModule, hook, { maxShards: 1 });
  await counters.command("k", "add");
  await counters.command("k", "add");
  await counters.query("k", "get");
  await counters.query("missing", "get");
  await counters.command("k", "remove");
  expect(calls).toEqual([
    ["committed", undefined, 0, "k", "add", 1, 1, 1],
    ["committed", 1, 1, "k", "add", 2, 2, 1],
    ["answered", 2, 1, "k", "get", 2],
    ["committed", 2, 1, "k", "remove", 0, undefined, 0],
  ]);
});

it("tells of an all-keys command once per key, without a result", async () => {
  const { calls, hook } = recorder();
  const node = await openNode();
  const counters = await node.kv.registerKeyspace("hooked", counterModule, hook, { maxShards: 1 });
  for (const key of ["a", "b", "c"]) await counters.command(key, "add");
  calls.length = 0;
  await node.kv.commandOnAllKeysInShard("hooked_0", "add");
  const byKey = calls.sort((x, y) => String(x[3]).localeCompare(String(y[3])));
  expect(byKey).toEqual(
    ["a", "b", "c"].map((key) => ["committed", 1, 1, key, "add", undefined, 2, 1]),
  );
});

it("does not tell of a command that failed", async () => {
  const { calls, hook } = recorder();
  const node = await openNode();
  const throwing = {
    ...counterModule,
    command: () => {
      throw new Error("no");
    },
  };
  const keyspace = await node.kv.registerKeyspace("failing", throwing, hook, { maxShards: 1 });
  await expect(keyspace.command("k", "add")).rejects.toMatchObject({ code: "COMMAND_FAILED" });
  expect(calls).toEqual([]);
});

it("shows a throwing hook as a warning and disturbs nobody", async () => {
  const hook: CounterHook = {
    onCommandCommitted: () => {
      throw new Error("committed hook");
    },
    onQueryAnswered: () => {
      throw undefined;
    },
  };
  const node = await openNode();
  const warnings: RaftKVError[] = [];
  node.kv.events.on("warning", (warning) => warnings.push(warning));
  const counters = await node.kv.registerKeyspace("bad", counterModule, hook, { maxShards: 1 });
  expect(await counters.command("k", "add")).toBe(1);
  expect(await counters.command("k", "add")).toBe(2);
  expect(await counters.query("k", "get")).toBe(2);
  await node.kv.commandOnAllKeysInShard("bad_0", "add");
  expect(await counters.query("k", "get")).toBe(3);
  expect(warnings.filter(({ message }) => message.includes("committed hook")).length).toBe(3);
  expect(warnings.length).toBe(5);
  for (const warning of warnings) expect(warning.message).toContain("bad");
});

it("is not called again for what is replayed after a restart", async () => {
  const dataDir = scratchDirectory();
  const before = await openNode({ dataDir });
  const first = recorder();
  const policy = { maxShards: 1 };
  const counters = await before.kv.openKeyspace("again", counterModule, first.hook, policy);
  for (let at = 0; at < 20; at++) await counters.command("k", "add");
  expect(first.calls.length).toBe(20);
  await before.close();

  const after = await openNode({ dataDir });
  const second = recorder();
  const reopened = await after.kv.openKeyspace("again", counterModule, second.hook, policy);
  expect(await reopened.query("k", "get")).toBe(20);
  expect(await reopened.command("k", "add")).toBe(21);
  expect(second.calls).toEqual([
    ["answered", 20, 1, "k", "get", 20],
    ["committed", 20, 1, "k", "add", 21, 21, 1],
  ]);
});
