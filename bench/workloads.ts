/** The workloads that raft-kv and the ceilings are put under. */
import {
  createNode,
  type Keyspace,
  type RaftKVNode,
  SplitMergePolicy,
  type ValuePerKey,
} from "raft-kv";
import { KEYS } from "./ceilings.ts";
import { type Figures, runClients } from "./loop.ts";

/** A keyspace of plain values: `set` and `get`, as in the README. */
export const registers: ValuePerKey<unknown, string, { set: unknown }, "ok", "get", unknown> = {
  command: (_previous, _size, _key, arg) => ["ok", 1, arg.set, 0],
  query: (value) => [value, 1],
};

/** Values of a size in bytes: strings, all different, so that nothing is shared or compressed. */
export function valuesOf(bytes: number): string[] {
  return Array.from({ length: 1000 }, (_, at) => String(at).padStart(bytes, "0").slice(-bytes));
}

/** A node with one keyspace that never splits, on a directory. */
export async function openStore(dataDir: string): Promise<Store> {
  const node = createNode({ dataDir });
  await node.fleet.activate("bench");
  await node.kv.init();
  const policy = new SplitMergePolicy({ maxShards: 1 });
  const keyspace = await node.kv.openKeyspace("registers", registers, null, policy);
  await fill(keyspace);
  return { node, keyspace };
}

/** Makes every key exist: a get of a missing key is another, slower thing. */
export async function fill(keyspace: Registers): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, at) => `key-${at}`);
  await Promise.all(keys.map((key) => keyspace.command(key, { set: "filled" })));
}

/** A keyspace of the module above. */
export type Registers = Keyspace<string, { set: unknown }, "ok", "get", unknown>;

/** A node with such a keyspace, every key of which exists. */
export interface Store {
  readonly node: RaftKVNode;
  readonly keyspace: Registers;
}

/** Durable sets over `KEYS` keys. */
export function runSets(
  { keyspace }: Store,
  clients: number,
  seconds: number,
  values: readonly string[],
): Promise<Figures> {
  return runClients(clients, seconds, (turn) =>
    keyspace.command(`key-${turn % KEYS}`, { set: values[turn % values.length] }),
  );
}

/** Linearizable gets of keys that exist. */
export function runGets({ keyspace }: Store, clients: number, seconds: number): Promise<Figures> {
  return runClients(clients, seconds, (turn) => keyspace.query(`key-${turn % KEYS}`, "get"));
}
