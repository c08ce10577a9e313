// Reaches the package as an ES module and as CommonJS: both must be the same default node.
import { createRequire } from "node:module";
import * as esm from "raft-kv";
import { mapModule } from "./modules.mjs";

const cjs = createRequire(import.meta.url)("raft-kv");
const policy = new esm.SplitMergePolicy({ maxShards: 1 });

await esm.RaftFleet.activate("zone", { dataDir: ":memory:" });
await cjs.RaftKV.init();
await esm.RaftKV.registerKeyspace("k", mapModule, null, policy);
await cjs.RaftKV.command("k", "key", "value");
const value = await esm.RaftKV.query("k", "key", "get");
const names = await cjs.RaftKV.listKeyspaces();
const error = await cjs.RaftKV.query("nobody", "key", "get").catch(
  (/** @type {unknown} */ thrown) => thrown,
);
await cjs.RaftFleet.deactivate();
console.log(
  JSON.stringify({
    value,
    names,
    oneErrorClass: error instanceof esm.RaftKVError && error instanceof cjs.RaftKVError,
    sameNames: Object.keys(esm).sort().join() === Object.keys(cjs).sort().join(),
    defaultExport: "default" in esm,
  }),
);
