// A CommonJS program.
const { createNode, RaftKVError, SplitMergePolicy } = require("raft-kv");

async function main() {
  const node = createNode({ dataDir: ":memory:" });
  await node.fleet.activate("zone");
  await node.kv.init();
  /** @type {import("raft-kv").ValuePerKey<unknown, string, unknown, "ok", "get", unknown>} */
  const module = {
    command: (_previous, _size, _key, arg) => ["ok", 1, arg, 1],
    query: (value) => [value, 1],
  };
  const policy = new SplitMergePolicy({ maxShards: 1 });
  const keyspace = await node.kv.registerKeyspace("k", module, null, policy);
  await keyspace.command("key", "value");
  console.log(await keyspace.query("key", "get"));
  const error = await node.kv
    .query("nobody", 1, 1)
    .catch((/** @type {unknown} */ thrown) => thrown);
  console.log(error instanceof RaftKVError && error.code);
  await node.close();
}

main();
