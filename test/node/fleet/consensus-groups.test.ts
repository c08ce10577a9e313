/** Consensus groups of any data module: added, used, removed, bound again. */
import { expect, it } from "vitest";
import type { DataModule, RaftKVError } from "../../../ts/index.ts";
import { GROUPS_LEFT_OVER_MAX } from "../../../ts/limits.ts";
import { expectCode } from "../support/errors.ts";
import { mapModule, registerModule } from "../support/modules.ts";
import { newNode, openNode, scratchDirectory } from "../support/nodes.ts";
import { eventually } from "../support/waiting.ts";

/** A queue, to have a state that is not a plain register. */
const queueModule: DataModule<string[], { push: string } | "pop", string | null, "size", number> = {
  init: () => [],
  command: (state, arg) =>
    arg === "pop" ? [state[0] ?? null, state.slice(1)] : [null, [...state, arg.push]],
  query: (state) => state.length,
};

it("runs commands and queries of data modules, each group apart from the others", async () => {
  const { fleet } = await openNode();
  await fleet.addConsensusGroup("queue", 1, { module: queueModule });
  await fleet.addConsensusGroup("register", 3, { module: registerModule });
  for (const item of ["a", "b", "c"]) await fleet.command("queue", { push: item });
  expect(await fleet.command("register", { write: 5 })).toBe("empty");
  expect(await fleet.query("queue", "size")).toBe(3);
  expect(await fleet.queryNonLeader("queue", "size")).toBe(3);
  expect(await fleet.command("queue", "pop")).toBe("a");
  expect(await fleet.query("register", "read")).toBe(5);
  expect(await fleet.consensusGroups()).toEqual({ queue: 1, register: 3 });
});

it("orders commands that were not awaited", async () => {
  const { fleet } = await openNode({ dataDir: scratchDirectory() });
  await fleet.addConsensusGroup("queue", 1, { module: queueModule });
  const items = Array.from({ length: 500 }, (_, at) => `${at}`);
  await Promise.all(items.map((push) => fleet.command("queue", { push })));
  const popped = await Promise.all(items.map(() => fleet.command("queue", "pop")));
  expect(popped).toEqual(items);
});

it("knows its nodes, zones and leaders", async () => {
  const { fleet } = await openNode();
  await fleet.addConsensusGroup("g", 1, { module: registerModule });
  const name = await fleet.nodeName();
  expect(await fleet.activeNodes()).toEqual({ zone: [name] });
  expect(await fleet.whereisLeader("g")).toBe(name);
  expect(await fleet.unreachableNodes()).toEqual({});
  expect(await fleet.findConsensusGroupsWithNoEstablishedLeader()).toEqual([]);
});

it("refuses a name twice with ALREADY_ADDED and keeps the first group", async () => {
  const { fleet } = await openNode();
  await fleet.addConsensusGroup("g", 1, { module: registerModule });
  await fleet.command("g", { write: "kept" });
  await expectCode(
    () => fleet.addConsensusGroup("g", 1, { module: registerModule }),
    "ALREADY_ADDED",
  );
  expect(await fleet.query("g", "read")).toBe("kept");
});

it("answers NOT_FOUND for groups that are not there", async () => {
  const { fleet } = await openNode();
  const calls = [
    () => fleet.command("g", 1),
    () => fleet.query("g", 1),
    () => fleet.queryNonLeader("g", 1),
    () => fleet.whereisLeader("g"),
    () => fleet.removeConsensusGroup("g"),
  ];
  for (const call of calls) expect((await expectCode(call, "NOT_FOUND")).group).toBe("g");
});

it("keeps shards out of the hands of programs, and names apart", async () => {
  const { fleet, kv } = await openNode();
  await kv.init();
  await kv.registerKeyspace("kv", mapModule, null, { maxShards: 4 });
  await kv.command("kv", "key", { set: 1 });
  expect(await fleet.whereisLeader("kv_0")).toBe(await fleet.nodeName());
  for (const call of [
    () => fleet.removeConsensusGroup("kv_0"),
    () => fleet.command("kv_0", 1),
    () => fleet.query("kv_0", 1),
  ]) {
    expect((await expectCode(call, "NOT_FOUND")).message).toContain("shard");
  }
  expect(await kv.query("kv", "key", "get")).toBe(1);
  // A split would want this name.
  const added = () => fleet.addConsensusGroup("kv_67108864", 1, { module: registerModule });
  expect((await expectCode(added, "ALREADY_ADDED")).keyspace).toBe("kv");
  await fleet.addConsensusGroup("other_67108864", 1, { module: registerModule });
  const registered = () => kv.registerKeyspace("other", mapModule, null, { maxShards: 4 });
  expect((await expectCode(registered, "ALREADY_REGISTERED")).group).toBe("other_67108864");
  expect(await kv.listKeyspaces()).toEqual(["kv"]);
});

it("removes a group, and gives its name to a new one with fresh state and its own code", async () => {
  const { fleet } = await openNode({ dataDir: scratchDirectory() });
  await fleet.addConsensusGroup("g", 1, { module: registerModule });
  await fleet.command("g", { write: "old" });
  await fleet.removeConsensusGroup("g");
  expect(await fleet.consensusGroups()).toEqual({});
  await expectCode(() => fleet.command("g", { write: 1 }), "NOT_FOUND");
  await expectCode(() => fleet.query("g", "read"), "NOT_FOUND");
  await eventually("the name is free", async () => {
    try {
      await fleet.addConsensusGroup("g", 1, { module: queueModule });
      return true;
    } catch (error) {
      expect((error as RaftKVError).code).toBe("CLEANUP_ONGOING");
      return false;
    }
  });
  expect(await fleet.query("g", "size")).toBe(0);
  await fleet.command("g", { push: "new" });
  expect(await fleet.query("g", "size")).toBe(1);
});

it("has its groups after a restart: MODULE_NOT_BOUND until their code is bound", async () => {
  const dataDir = scratchDirectory();
  const before = await openNode({ dataDir });
  await before.fleet.addConsensusGroup("early", 1, { module: registerModule });
  await before.fleet.addConsensusGroup("late", 1, { module: queueModule });
  await before.fleet.command("early", { write: "kept" });
  await before.fleet.command("late", { push: "kept" });
  const name = await before.fleet.nodeName();
  await before.close();

  const after = newNode({ dataDir });
  await after.fleet.bindGroupModule("early", registerModule);
  await after.fleet.activate("zone");
  expect(await after.fleet.nodeName()).toBe(name);
  expect(await after.fleet.consensusGroups()).toEqual({ early: 1, late: 1 });
  expect(await after.fleet.query("early", "read")).toBe("kept");
  for (const call of ["command", "query", "queryNonLeader"] as const) {
    const error = await expectCode(() => after.fleet[call]("late", "pop"), "MODULE_NOT_BOUND");
    expect(error.group).toBe("late");
  }
  const silent = await after.fleet.findConsensusGroupsWithNoEstablishedLeader();
  expect(silent.map(([group]) => group)).toEqual(["late"]);
  await after.fleet.bindGroupModule("late", queueModule);
  expect(await after.fleet.command("late", "pop")).toBe("kept");
  expect(await after.fleet.findConsensusGroupsWithNoEstablishedLeader()).toEqual([]);
});

it("adds the code of a group that is there already, and says ALREADY_ADDED", async () => {
  const dataDir = scratchDirectory();
  const before = await openNode({ dataDir });
  await before.fleet.addConsensusGroup("g", 1, { module: registerModule });
  await before.fleet.command("g", { write: "kept" });
  await before.close();
  const { fleet } = await openNode({ dataDir });
  await expectCode(
    () => fleet.addConsensusGroup("g", 1, { module: registerModule }),
    "ALREADY_ADDED",
  );
  expect(await fleet.query("g", "read")).toBe("kept");
});

it("tells a hook of commands and queries, and warns when it throws", async () => {
  const calls: unknown[][] = [];
  const warnings: RaftKVError[] = [];
  const node = await openNode();
  node.kv.events.on("warning", (warning) => warnings.push(warning));
  const hook = {
    onCommandCommitted: (...args: unknown[]) => void calls.push(args),
    onQueryAnswered: () => {
      throw new Error("from the hook");
    },
  };
  await node.fleet.addConsensusGroup("g", 1, { module: registerModule, hook });
  await node.fleet.command("g", { write: 1 });
  expect(await node.fleet.query("g", "read")).toBe(1);
  expect(calls).toEqual([["empty", { write: 1 }, "empty", 1]]);
  expect(warnings.length).toBe(1);
  expect(warnings[0]?.message).toContain("from the hook");
});

it("hosts a hundred groups, in memory of a restart", async () => {
  const dataDir = scratchDirectory();
  const names = Array.from({ length: 100 }, (_, at) => `group-${at}`);
  const before = await openNode({ dataDir });
  await Promise.all(
    names.map((name) => before.fleet.addConsensusGroup(name, 1, { module: registerModule })),
  );
  await Promise.all(names.map((name, at) => before.fleet.command(name, { write: at })));
  await before.close();
  const after = newNode({ dataDir });
  for (const name of names) await after.fleet.bindGroupModule(name, registerModule);
  await after.fleet.activate("zone");
  const values = await Promise.all(names.map((name) => after.fleet.query(name, "read")));
  expect(values).toEqual(names.map((_, at) => at));
});

it("a group that was added is led when the call comes back", async () => {
  const { fleet } = await openNode();
  const own = await fleet.nodeName();
  const add = async (at: number) => {
    await fleet.addConsensusGroup(`group-${at}`, 1, { module: registerModule });
    return fleet.whereisLeader(`group-${at}`);
  };
  const leaders = await Promise.all(Array.from({ length: 200 }, (_, at) => add(at)));
  expect(leaders.filter((leader) => leader !== own)).toEqual([]);
  expect(await fleet.findConsensusGroupsWithNoEstablishedLeader()).toEqual([]);
});

it("keeps little of the groups that were removed", async () => {
  const { fleet } = await openNode();
  const leftOver = async () => {
    const dump = (await fleet.admin.sysdump()) as unknown as {
      details: Record<string, { statistics: { groupsLeftOver: number } }>;
    };
    const [details] = Object.values(dump.details);
    return details?.statistics.groupsLeftOver ?? Number.NaN;
  };
  await fleet.addConsensusGroup("kept", 1, { module: registerModule });
  let most = 0;
  for (let round = 0; round < 8; round++) {
    const names = Array.from({ length: 50 }, (_, at) => `g-${round}-${at}`);
    await Promise.all(
      names.map((name) => fleet.addConsensusGroup(name, 1, { module: registerModule })),
    );
    await Promise.all(names.map((name) => fleet.removeConsensusGroup(name)));
    await eventually(
      "removed",
      async () => Object.keys(await fleet.consensusGroups()).length === 1,
    );
    most = Math.max(most, await leftOver());
  }
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(GROUPS_LEFT_OVER_MAX + 50);
  await expectCode(
    () => fleet.addConsensusGroup("kept", 1, { module: registerModule }),
    "ALREADY_ADDED",
  );
});
