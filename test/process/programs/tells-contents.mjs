// Opens a directory and tells every key and count in it, or the error that it meets.
import { createNode } from "raft-kv";
import { argument, counterModule, described } from "./modules.mjs";

const node = createNode({ dataDir: argument(0) });
try {
  await node.fleet.activate("zone");
  await node.kv.init();
  const names = await node.kv.listKeyspaces();
  /** @type {Record<string, number | undefined>} */
  const counts = {};
  if (names.includes("kv")) {
    const keyspace = await node.kv.openKeyspace("kv", counterModule, null, { maxShards: 1 });
    for await (const key of keyspace.keys()) counts[key] = await keyspace.query(key, "get");
  }
  console.log(JSON.stringify({ counts }));
} catch (error) {
  console.log(JSON.stringify({ error: described(error) }));
}
await node.close();
