/** raft-kv as a contender: one node with a log on disk in this process. */
import {
  createNode,
  type Keyspace,
  type RaftKVNode,
  SplitMergePolicy,
  type ValuePerKey,
} from "raft-kv";
import { type Contender, fill } from "./contender.ts";

type Command = { set: unknown } | "increment";

/** A keyspace of plain values: `set` and `get`, as in the README, and adding one. */
export const registers: ValuePerKey<unknown, string, Command, unknown, "get", unknown> = {
  command: (previous, _size, _key, arg) => {
    if (arg !== "increment") return ["ok", 1, arg.set, 0];
    const next = (typeof previous === "number" ? previous : 0) + 1;
    return [next, 1, next, 0];
  },
  query: (value) => [value, 1],
};

/** A keyspace of the module above. */
export type Registers = Keyspace<string, Command, unknown, "get", unknown>;

/** A node with such a keyspace. */
export interface Store {
  readonly node: RaftKVNode;
  readonly keyspace: Registers;
}

/**
 * A node on a directory with one keyspace that splits, once it has keys, until it has this number
 * of shards, and then stays so.
 */
export async function openStore(dataDir: string, shards = 1): Promise<Store> {
  const node = createNode({ dataDir });
  await node.fleet.activate("bench");
  await node.kv.init();
  const splitting = shards === 1 ? {} : { maxKeysPerShard: 1 };
  const policy = new SplitMergePolicy({ minShards: shards, maxShards: shards, ...splitting });
  const keyspace = await node.kv.openKeyspace("registers", registers, null, policy);
  return { node, keyspace };
}

/** What to call to use a keyspace like any other contender. */
export function operationsOf(keyspace: Registers) {
  return {
    role: "raft-kv" as const,
    set: (key: string, value: string) => keyspace.command(key, { set: value }),
    get: (key: string) => keyspace.query(key, "get"),
    increment: (key: string) => keyspace.command(key, "increment"),
  };
}

/** One node of raft-kv whose keys exist. */
export async function raftKv(dataDir: string, name = "raft-kv"): Promise<Contender> {
  const { node, keyspace } = await openStore(dataDir);
  const operations = operationsOf(keyspace);
  await fill(operations);
  return { name, ...operations, close: () => node.close() };
}
