/** Calls before the node is active, before `init`, after its end, and a second `activate`. */
import { expect, it } from "vitest";
import type { ErrorCode, RaftKVNode } from "../../../ts/index.ts";
import { expectCode } from "../support/errors.ts";
import { mapModule, registerModule } from "../support/modules.ts";
import { newNode, openNode } from "../support/nodes.ts";
import { nothingUnhandled } from "../support/unhandled.ts";
import { collect } from "../support/waiting.ts";

nothingUnhandled();
const policy = { maxShards: 1 };

type Calls = Record<string, (node: RaftKVNode) => unknown>;

/** Every call that needs an active node. */
const fleetCalls: Calls = {
  deactivate: ({ fleet }) => fleet.deactivate(),
  activeNodes: ({ fleet }) => fleet.activeNodes(),
  nodeName: ({ fleet }) => fleet.nodeName(),
  unreachableNodes: ({ fleet }) => fleet.unreachableNodes(),
  addConsensusGroup: ({ fleet }) => fleet.addConsensusGroup("g", 1, { module: registerModule }),
  removeConsensusGroup: ({ fleet }) => fleet.removeConsensusGroup("g"),
  consensusGroups: ({ fleet }) => fleet.consensusGroups(),
  command: ({ fleet }) => fleet.command("g", { write: 1 }),
  query: ({ fleet }) => fleet.query("g", "read"),
  queryNonLeader: ({ fleet }) => fleet.queryNonLeader("g", "read"),
  whereisLeader: ({ fleet }) => fleet.whereisLeader("g"),
  findConsensusGroupsWithNoEstablishedLeader: ({ fleet }) =>
    fleet.findConsensusGroupsWithNoEstablishedLeader(),
};

/** Every call that needs `init` as well. */
const keyspaceCalls: Calls = {
  registerKeyspace: ({ kv }) => kv.registerKeyspace("k", mapModule, null, policy),
  openKeyspace: ({ kv }) => kv.openKeyspace("k", mapModule, null, policy),
  deregisterKeyspace: ({ kv }) => kv.deregisterKeyspace("k"),
  listKeyspaces: ({ kv }) => kv.listKeyspaces(),
  getKeyspacePolicy: ({ kv }) => kv.getKeyspacePolicy("k"),
  setKeyspacePolicy: ({ kv }) => kv.setKeyspacePolicy("k", policy),
  command: ({ kv }) => kv.command("k", "key", { set: 1 }),
  query: ({ kv }) => kv.query("k", "key", "get"),
  reduceKeyspaceShardNames: ({ kv }) => kv.reduceKeyspaceShardNames("k", 0, () => 0),
  listKeysInShard: ({ kv }) => kv.listKeysInShard("k_0"),
  commandOnAllKeysInShard: ({ kv }) => kv.commandOnAllKeysInShard("k_0", "unset"),
  keys: async ({ kv }) => collect(kv.keys("k")),
  shards: ({ kv }) => kv.shards("k"),
};

async function allRefused(node: RaftKVNode, calls: Calls, ...codes: ErrorCode[]): Promise<void> {
  for (const [name, call] of Object.entries(calls)) {
    await expectCode(() => call(node), ...codes).catch((cause: unknown) => {
      throw new Error(name, { cause });
    });
  }
}

it("refuses every call before activate", async () => {
  const node = newNode();
  await allRefused(node, { ...fleetCalls, init: ({ kv }) => kv.init() }, "NOT_ACTIVE");
  await allRefused(node, keyspaceCalls, "NOT_ACTIVE");
});

it("refuses every call on keyspaces before init", async () => {
  const node = newNode();
  await node.fleet.activate("zone");
  await allRefused(node, keyspaceCalls, "NOT_ACTIVE");
});

it("refuses every call after close, deactivate and while closing", async () => {
  const calls: Calls = { ...fleetCalls, ...keyspaceCalls, init: ({ kv }) => kv.init() };
  const closed = await openNode();
  await closed.close();
  await allRefused(closed, calls, "CLOSED", "NOT_ACTIVE");

  const deactivated = await openNode();
  await deactivated.fleet.deactivate();
  await allRefused(deactivated, calls, "CLOSED", "NOT_ACTIVE");

  const closing = await openNode();
  const done = closing.close();
  delete calls.deactivate;
  await Promise.all(
    Object.values(calls).map((call) => expectCode(() => call(closing), "CLOSED", "NOT_ACTIVE")),
  );
  await done;
});

it("refuses a second activate, during the first and after it", async () => {
  const node = newNode();
  const first = node.fleet.activate("zone");
  await expectCode(() => node.fleet.activate("zone"), "NOT_INACTIVE");
  await first;
  await expectCode(() => node.fleet.activate("zone"), "NOT_INACTIVE");
  await node.kv.init();
  await node.kv.init();
  expect(await node.kv.listKeyspaces()).toEqual([]);
});

it("can be activated again after it was closed", async () => {
  const node = await openNode();
  await node.kv.registerKeyspace("k", mapModule, null, policy);
  await node.kv.command("k", "key", { set: 1 });
  await node.fleet.deactivate();
  await node.fleet.activate("zone");
  await node.kv.init();
  expect(await node.kv.listKeyspaces()).toEqual([]);
  await node.kv.registerKeyspace("k", mapModule, null, policy);
  expect(await node.kv.query("k", "key", "get")).toBeUndefined();
});

it("takes options that were refused back: a later activate may be right", async () => {
  const node = newNode();
  await expectCode(() => node.fleet.activate(""), "INVALID_ZONE");
  await expectCode(
    () => node.fleet.activate("zone", { durability: "maybe" as never }),
    "INVALID_OPTION",
  );
  await node.fleet.activate("zone");
  await node.kv.init();
});
