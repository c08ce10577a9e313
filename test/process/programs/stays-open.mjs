// Opens a node and does nothing more: an open node keeps the process alive, unless told otherwise.
import { createNode } from "raft-kv";
import { argument } from "./modules.mjs";

const node = createNode({ dataDir: argument(0) });
await node.fleet.activate("zone");
await node.kv.init();
if (argument(1) === "unref") node.unref();
if (argument(1) === "unref-ref") {
  node.unref();
  node.ref();
}
console.log("open");
process.stdin.on("data", async () => {
  await node.close();
  console.log("closed");
});
process.stdin.unref();
