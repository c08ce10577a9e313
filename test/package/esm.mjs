// The README example as an ES module; ends by itself once the node is closed.
import assert from "node:assert/strict";
import { RaftFleet, RaftKV, RaftKVError, SplitMergePolicy } from "raft-kv";

const KV = {
  command: (_previous, _size, _key, arg) =>
    arg === "unset" ? ["ok", 5, undefined, 0] : ["ok", 5, arg.set, 0],
  query: (value) => [value, 1],
};

await RaftFleet.activate("some_zone", { dataDir: ":memory:" });
await RaftKV.init();
const policy = new SplitMergePolicy({ maxShards: 16, maxKeysPerShard: 100 });
await RaftKV.registerKeyspace("kv", KV, null, policy);

const get = (k) => RaftKV.query("kv", k, "get");
const set = (k, v) => RaftKV.command("kv", k, { set: v });
assert.equal(await get("foo"), undefined);
assert.equal(await set("foo", "bar"), "ok");
assert.equal(await get("foo"), "bar");
const names = await RaftKV.reduceKeyspaceShardNames("kv", [], (name, acc) => [name, ...acc]);
assert.deepEqual(names, ["kv_0"]);
await assert.rejects(get(undefined), (error) => error instanceof RaftKVError);
// The dashboard's page is in the package, all of it.
const dashboard = await RaftFleet.dashboard({ port: 0 });
for (const part of ["", "/app.js", "/style.css"]) {
  const { status } = await fetch(`http://${dashboard.address}/dashboard${part}`);
  assert.equal(status, 200, part);
}
await dashboard.close();
await RaftFleet.deactivate();
