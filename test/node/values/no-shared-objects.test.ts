/** What a caller holds and what is stored are never the same mutable object. */
import { expect, it } from "vitest";
import type { RaftKVNode, ValuePerKey } from "../../../ts/index.ts";
import { openNode } from "../support/nodes.ts";

type List = { list: unknown[] };
type Command = { readonly set: List } | "echo" | "append";

/** Returns what it stores, and stores what it was given, without a copy of its own. */
const sharing: ValuePerKey<List, unknown, Command, List | undefined, "get" | "arg", unknown> = {
  command: (previous, _size, _key, arg) => {
    if (arg === "echo") return [previous, 1, previous, 1];
    if (arg === "append") {
      previous?.list.push("appended");
      return [previous, 1, previous, 1];
    }
    return [arg.set, 1, arg.set, 1];
  },
  query: (value) => [value, 1],
};

async function open(): Promise<RaftKVNode["kv"]> {
  const { kv } = await openNode();
  await kv.registerKeyspace("k", sharing, null, { maxShards: 1 });
  return kv;
}

it("the argument, changed after the call and before it is sent", async () => {
  const kv = await open();
  const given: List = { list: [1, new Uint8Array([1])] };
  const command = kv.command("k", "key", { set: given });
  given.list.push(2);
  (given.list[1] as Uint8Array)[0] = 9;
  await command;
  given.list.push(3);
  expect(await kv.query("k", "key", "get")).toEqual({ list: [1, new Uint8Array([1])] });
});

it("the result of a command", async () => {
  const kv = await open();
  const first = (await kv.command("k", "key", { set: { list: [[1]] } })) as List;
  first.list.push(2);
  (first.list[0] as unknown[]).push(3);
  expect(await kv.query("k", "key", "get")).toEqual({ list: [[1]] });
  const echoed = (await kv.command("k", "key", "echo")) as List;
  echoed.list.length = 0;
  expect(await kv.query("k", "key", "get")).toEqual({ list: [[1]] });
});

it("the result of a query", async () => {
  const kv = await open();
  await kv.command("k", "key", { set: { list: [[1]] } });
  const answer = (await kv.query("k", "key", "get")) as List;
  (answer.list[0] as unknown[]).push(2);
  answer.list.push(3);
  expect(await kv.query("k", "key", "get")).toEqual({ list: [[1]] });
});

it("a result that was given, when a later command changes the value in place", async () => {
  const kv = await open();
  await kv.command("k", "key", { set: { list: [1] } });
  const [early, query] = await Promise.all([
    kv.command("k", "key", "echo"),
    kv.query("k", "key", "get"),
    kv.command("k", "key", "append"),
  ]);
  expect(early).toEqual({ list: [1] });
  expect(query).toEqual({ list: [1] });
  expect(await kv.query("k", "key", "get")).toEqual({ list: [1, "appended"] });
});

it("a key that is an object, changed after the call", async () => {
  const kv = await open();
  const key = new Uint8Array([1, 2]);
  const command = kv.command("k", key, { set: { list: [] } });
  key[0] = 9;
  await command;
  expect(await kv.query("k", new Uint8Array([1, 2]), "get")).toEqual({ list: [] });
  expect(await kv.query("k", key, "get")).toBeUndefined();
  const [listed] = (await kv.listKeysInShard("k_0")) as [Uint8Array];
  listed[0] = 7;
  expect(await kv.listKeysInShard("k_0")).toEqual([new Uint8Array([1, 2])]);
});

it("a key that user code keeps and changes", async () => {
  const { kv } = await openNode();
  const hostile: ValuePerKey<number, unknown, null, null, null, number> = {
    command: (previous = 0, _size, key) => {
      if (key instanceof Uint8Array) key.fill(255);
      return [null, 1, previous + 1, 1];
    },
    query: (value, _size, key) => {
      if (key instanceof Uint8Array) key.fill(255);
      return [value, 1];
    },
  };
  await kv.registerKeyspace("h", hostile, null, { maxShards: 1 });
  for (let at = 1; at <= 3; at++) {
    await kv.command("h", new Uint8Array([1]), null);
    expect(await kv.query("h", new Uint8Array([1]), null)).toBe(at);
  }
  expect((await kv.listKeysInShard("h_0")).length).toBe(1);
});

it("the argument of a query", async () => {
  const { kv } = await openNode();
  const writing: ValuePerKey<number, string, null, null, List, number> = {
    command: () => [null, 1, 1, 1],
    query: (_value, _size, _key, arg) => {
      arg.list.push("changed by the query");
      return [arg.list.length, 1];
    },
  };
  await kv.registerKeyspace("w", writing, null, { maxShards: 1 });
  await kv.command("w", "key", null);
  const given: List = { list: [] };
  expect(await kv.query("w", "key", given)).toBe(1);
  expect(given).toEqual({ list: [] });
});

it("the state and results of a consensus group", async () => {
  const { fleet } = await openNode();
  const module = {
    init: (): List => ({ list: [] }),
    command: (state: List, arg: unknown): [List, List] => {
      const next = { list: [...state.list, arg] };
      return [next, next];
    },
    query: (state: List) => state,
  };
  await fleet.addConsensusGroup("g", 1, { module });
  const given = [1];
  const command = fleet.command("g", given);
  given.push(2);
  ((await command) as List).list.push("changed");
  ((await fleet.query("g", null)) as List).list.push("changed");
  ((await fleet.queryNonLeader("g", null)) as List).list.push("changed");
  expect(await fleet.query("g", null)).toEqual({ list: [[1]] });
});
