// The README example, for its types.
import { RaftFleet, RaftKV, SplitMergePolicy, type ValuePerKey } from "raft-kv";
import { checkValuePerKey, createTestCluster, type ModuleReport } from "raft-kv/testing";

type Command = { set: unknown } | "unset";
const KV: ValuePerKey<unknown, string, Command, "ok", "get", unknown> = {
  command: (_previous, _size, _key, arg) =>
    arg === "unset" ? ["ok", 5, undefined, 0] : ["ok", 5, arg.set, 0],
  query: (value) => [value, 1],
};

export async function main(): Promise<void> {
  await RaftFleet.activate("some_zone", { dataDir: ":memory:" });
  await RaftKV.init();
  const policy = new SplitMergePolicy({ maxShards: 16, maxKeysPerShard: 100 });
  const kv = await RaftKV.registerKeyspace("kv", KV, null, policy);
  const answer: "ok" = await kv.command("foo", { set: "bar" });
  // @ts-expect-error: not a command of this module
  await kv.command("foo", { put: "bar" });
  // @ts-expect-error: not a key of this module
  await kv.query(1, "get");
  const names = await RaftKV.reduceKeyspaceShardNames("kv", [] as string[], (name, acc) => [
    name,
    ...acc,
  ]);
  console.log(answer, names);
}

export function check(): ModuleReport {
  // @ts-expect-error: not a command of this module
  checkValuePerKey(KV, { commands: [{ put: "bar" }] });
  return checkValuePerKey(KV, { commands: [{ set: "bar" }, "unset"], queries: ["get"] });
}

export async function kill(): Promise<string> {
  await using cluster = await createTestCluster({ start: (node) => node.kv.listKeyspaces() });
  await cluster.kill(await cluster.leaderOf("kv_0"));
  return cluster.waitFor("a name", () => cluster.nodes[0]?.name);
}
