// Uses a node, closes it, and has nothing more to do: the process must end by itself.
import { RaftFleet, RaftKV } from "raft-kv";
import { argument, counterModule } from "./modules.mjs";

await RaftFleet.activate("zone", { dataDir: argument(0) });
await RaftKV.init();
const keyspace = await RaftKV.openKeyspace("k", counterModule, null, { maxShards: 4 });
const count = await keyspace.command("key", { ballast: "" }, { timeout: 60_000 });
await RaftFleet.deactivate();
console.log(`count ${count}`);
