// Writes keys with some ballast, and closes the directory in good order.
import { createNode } from "raft-kv";
import { counterModule } from "./modules.mjs";

const [directory = "", keys, ballastBytes, rounds] = process.argv.slice(2);
const ballast = "y".repeat(Number(ballastBytes));
const node = createNode({ dataDir: directory, durability: "buffered" });
await node.fleet.activate("zone");
await node.kv.init();
const keyspace = await node.kv.openKeyspace("kv", counterModule, null, { maxShards: 1 });
for (let round = 0; round < Number(rounds); round++) {
  await Promise.all(
    Array.from({ length: Number(keys) }, (_, key) => keyspace.command(`key-${key}`, { ballast })),
  );
}
await node.close();
