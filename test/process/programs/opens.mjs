// Opens a directory, says how that went, and waits for its standard input to end.
import { createNode } from "raft-kv";
import { argument, described } from "./modules.mjs";

const node = createNode({ dataDir: argument(0) });
try {
  await node.fleet.activate("zone");
  console.log(JSON.stringify({ open: true, pid: process.pid }));
  for await (const _ of process.stdin);
  await node.close();
} catch (error) {
  console.log(JSON.stringify({ open: false, ...described(error) }));
}
