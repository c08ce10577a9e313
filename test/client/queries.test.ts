/** Queries on keys from a node that has no replica: over shards that split, with stale routes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CallSettings, DEFAULT_CALL } from "../../ts/client/call.ts";
import { type KeyspaceReplica, Queries } from "../../ts/client/queries.ts";
import { type Key, writeKey } from "../../ts/codec/key.ts";
import { decodeValue, encodeValue } from "../../ts/codec/value.ts";
import { Writer } from "../../ts/codec/writer.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { EncodedResult } from "../../ts/machine/machine.ts";
import { type NativeEngine, openEngine } from "../../ts/native/engine.ts";
import type { KeyIndex } from "../../ts/shard/entry.ts";
import { ShardMachine } from "../../ts/shard/machine.ts";
import {
  type ChunkReply,
  type ShardCommand,
  type ShardReply,
  shardCommand,
  shardRead,
} from "../../ts/shard/requests.ts";
import { OPTIONS } from "../native/support.ts";
import { Network, type Node, SHORT } from "./network.ts";

const KEYSPACE = 3;
const [LOWER, UPPER] = [10, 11];
const END = 2 ** 27;
const UPPER_RANGE = { start: END / 2, end: END };
const KEYS: Key[] = [
  "a",
  7,
  0,
  12n,
  true,
  "é".repeat(80),
  ["list", 1, ["deep"]],
  Uint8Array.from([98]),
];

const module = {
  command: (_previous: unknown, _size: number, _key: unknown, arg: unknown) =>
    [null, 0, { kept: arg }, 1] as const,
  query(value: { kept: unknown }, _size: number, key: unknown, arg: unknown) {
    if (arg === "fail") throw new Error("no");
    if (arg === "nothing") return [undefined, 0] as const;
    return [{ value, key, arg }, 0] as const;
  },
};

let engine: NativeEngine;
beforeAll(async () => {
  engine = await openEngine(OPTIONS, () => undefined);
});
afterAll(() => engine.close());

function hashOf(key: Key) {
  const writer = new Writer();
  writeKey(writer, key);
  return engine.hashKey(KEYSPACE, writer.bytes.subarray(0, writer.length))!;
}

function route(groups: number[]) {
  const starts = groups.length === 1 ? [0] : [0, END / 2];
  engine.setRoutes(KEYSPACE, "kv", Uint32Array.from(starts), Uint32Array.from(groups));
}

/** Node 1 calls, 2 leads the lower shard and 3 the upper one; the routes know only the lower. */
function cluster() {
  route([LOWER]);
  const network = new Network([1, 2, 3]);
  network.members.set(LOWER, [3, 2]);
  network.members.set(UPPER, [2, 3]);
  const indexes = new Map<number, KeyIndex>([1, 2, 3].map((id) => [id, new Map()]));
  const attach = (node: Node, group: number) =>
    node.attach(
      group,
      (retained) =>
        new ShardMachine({
          ...{ keyspace: "kv", group, module, retained, index: indexes.get(node.id)! },
          range: group === LOWER ? { start: 0, end: END } : null,
        }),
    );
  const [one, two, three] = [1, 2, 3].map((id) => network.node(id)) as [Node, Node, Node];
  attach(two, LOWER);
  attach(three, UPPER);
  two.lead(LOWER);
  three.lead(UPPER);
  const set = (node: Node, group: number, key: Key, argument: unknown) =>
    node.apply(group, { key, argument, ...hashOf(key) });
  for (const key of KEYS) set(two, LOWER, key, "first");
  const absence = { error: undefined as RaftKVError | undefined };
  const queriesOf = (node: Node) => {
    const keyspace: KeyspaceReplica = {
      ...{ name: "kv", number: KEYSPACE, index: indexes.get(node.id)! },
      absence: () => absence.error,
    };
    return new Queries(node.host, engine, node.reads, keyspace);
  };
  return { network, one, two, three, set, absence, queriesOf, attach };
}

function step(node: Node, group: number, argument: ShardCommand): ShardReply {
  const result = node.apply(group, { argument });
  expect(result).toBeInstanceOf(EncodedResult);
  return decodeValue((result as EncodedResult).bytes) as ShardReply;
}

/** Moves the upper half up to the point where the sender has handed it over. */
function handOver(two: Node, three: Node) {
  step(three, UPPER, shardCommand.expect(1, UPPER_RANGE, LOWER));
  step(two, LOWER, shardCommand.begin(1, UPPER_RANGE, UPPER));
  const read = encodeValue(shardRead.chunk(1, END / 2, 2 ** 20));
  const chunk = two.host.replica(LOWER)!.machine.query(read) as EncodedResult;
  const { entries } = decodeValue(chunk.bytes) as ChunkReply;
  step(three, UPPER, shardCommand.install(1, entries));
  const handed = step(two, LOWER, shardCommand.handOver(1));
  if (handed.type !== "handedOver") throw new Error(handed.type);
  return () => step(three, UPPER, shardCommand.open(1, handed.certificate));
}

test("any node asks any key, before and after its shard was split, with routes from before", async () => {
  const { one, two, three, set, queriesOf } = cluster();
  const [here, there] = [queriesOf(one), queriesOf(two)];
  const upper = KEYS.filter((key) => hashOf(key).hash >= END / 2);
  expect(upper.length).toBeGreaterThan(0);
  expect(upper.length).toBeLessThan(KEYS.length);
  for (const key of KEYS) {
    const answer = await here.query(key, { n: [1] });
    expect(answer).toEqual({ value: { kept: "first" }, key, arg: { n: [1] } });
    expect(answer).toEqual(await there.query(key, { n: [1] }));
  }
  handOver(two, three)();
  for (const key of KEYS) {
    const isUpper = upper.includes(key);
    set(isUpper ? three : two, isUpper ? UPPER : LOWER, key, "second");
    const value = { kept: "second" };
    expect(await here.query(key, 1)).toEqual({ value, key, arg: 1 });
    expect(await there.query(key, 1)).toEqual({ value, key, arg: 1 });
  }
  route([LOWER, UPPER]);
  expect(await Promise.all(KEYS.map((key) => here.query(key, "nothing")))).toEqual(
    KEYS.map(() => undefined),
  );
});

test("a query waits for a range that is being handed over, and for no longer than it may", async () => {
  const { one, two, three, queriesOf } = cluster();
  const here = queriesOf(one);
  const key = KEYS.find((it) => hashOf(it).hash >= END / 2)!;
  const open = handOver(two, three);
  const call: CallSettings = { ...SHORT, shardLockRetry: 1, shardLockRetryInterval: 10 };
  await expect(here.query(key, 1, call)).rejects.toMatchObject({
    ...{ code: "SHARD_TRANSITION_TIMEOUT", keyspace: "kv", outcome: "not applied" },
  });
  const asking = here.query(key, 1);
  setTimeout(open, 20);
  expect(await asking).toEqual({ value: { kept: "first" }, key, arg: 1 });
});

test("what a query fails with is the same from everywhere", async () => {
  const { one, two, queriesOf } = cluster();
  const errors: unknown[] = [];
  for (const node of [one, two]) {
    const queries = queriesOf(node);
    const errorOf = (asked: Promise<unknown>) =>
      asked.catch((error: RaftKVError) => ({ code: error.code, message: error.message }));
    errors.push([
      await errorOf(queries.query("a", "fail")),
      await errorOf(queries.query("a", () => 1)),
      await errorOf(queries.query("missing", () => 1)),
      await errorOf(queries.query({}, 1)),
      await errorOf(queries.query("missing", 1)),
    ]);
  }
  expect(errors[0]).toEqual(errors[1]);
  expect(errors[0]).toMatchObject([
    { code: "QUERY_FAILED" },
    { code: "DATA_CLONE" },
    { code: "DATA_CLONE" },
    { code: "INVALID_KEY" },
    undefined,
  ]);
});

test("what is asked is taken at the call, and no object is shared", async () => {
  const { one, queriesOf } = cluster();
  const argument = { n: 1 };
  const asking = queriesOf(one).query("a", argument);
  argument.n = 2;
  const first = (await asking) as { value: { kept: string }; arg: unknown };
  expect(first.arg).toEqual({ n: 1 });
  first.value.kept = "changed";
  expect(await queriesOf(one).query("a", 1)).toMatchObject({ value: { kept: "first" } });
});

test("code that is not bound here matters only where nobody else can be asked", async () => {
  const { network, one, absence, queriesOf } = cluster();
  const queries = queriesOf(one);
  absence.error = new RaftKVError("MODULE_NOT_BOUND", "not bound");
  expect(await queries.query("a", 1)).toMatchObject({ arg: 1 });
  network.members.set(LOWER, [1]);
  await expect(queries.query("a", 1)).rejects.toMatchObject({ code: "MODULE_NOT_BOUND" });
  absence.error = new RaftKVError("NO_SUCH_KEYSPACE", "gone");
  network.members.set(LOWER, [2]);
  await expect(queries.query("a", 1)).rejects.toMatchObject({ code: "NO_SUCH_KEYSPACE" });
});

test("a stale query is answered by a follower here, and by the leader once it does not own the key", async () => {
  const { network, one, two, three, set, attach, queriesOf } = cluster();
  const stale: CallSettings = { ...DEFAULT_CALL, consistency: "stale" };
  attach(one, LOWER);
  const [key, lower] = [true, false].map((isUpper) =>
    KEYS.find((it) => hashOf(it).hash >= END / 2 === isUpper),
  ) as [Key, Key];
  set(one, LOWER, lower, "behind");
  one.follow(LOWER, 2);
  network.members.set(LOWER, [1, 2]);
  const queries = queriesOf(one);
  expect(await queries.query(lower, 1, stale)).toMatchObject({ value: { kept: "behind" } });
  expect(await queries.query(lower, 1)).toMatchObject({ value: { kept: "first" } });
  handOver(two, three)();
  expect(await queries.query(key, 1)).toMatchObject({ value: { kept: "first" } });
  // This replica believes that it still owns the key and knows no value of it.
  expect(await queries.query(key, 1, stale)).toBeUndefined();
});

test("a shard without a leader is waited for, and named by its keyspace when time is over", async () => {
  const { one, two, three, queriesOf } = cluster();
  two.follow(LOWER, 0);
  const target = { code: "NO_LEADER", keyspace: "kv", outcome: "not applied" };
  await expect(queriesOf(one).query("a", 1, SHORT)).rejects.toMatchObject(target);
  await expect(queriesOf(two).query("a", 1, SHORT)).rejects.toMatchObject(target);
  two.state = "silent";
  three.state = "silent";
  await expect(queriesOf(one).query("a", 1, SHORT)).rejects.toMatchObject({ code: "TIMEOUT" });
  two.state = "up";
  const asking = [queriesOf(one).query("a", 1), queriesOf(two).query("a", 1)];
  setTimeout(() => two.lead(LOWER), 20);
  expect(await Promise.all(asking)).toMatchObject([{ arg: 1 }, { arg: 1 }]);
  const signal = AbortSignal.timeout(10);
  two.follow(LOWER, 0);
  for (const node of [one, two]) {
    const asked = queriesOf(node).query("a", 1, { ...DEFAULT_CALL, signal });
    await expect(asked).rejects.toMatchObject({ code: "ABORTED" });
  }
});
