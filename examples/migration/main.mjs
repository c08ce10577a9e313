// The four steps in one run, with writes going on all the time.
import { createNode } from "raft-kv";
import {
  copySessions,
  doubleSessions,
  mapSessions,
  raftSessions,
  sessionModule,
} from "./sessions.mjs";

const map = new Map();
let sessions = mapSessions(map);
for (let at = 0; at < 1_000; at++) await sessions.set(`s${at}`, { user: `user-${at}`, seen: 1 });
console.log("1. in a Map:", (await sessions.get("s7"))?.user);

const node = createNode({ dataDir: ":memory:" });
await node.fleet.activate("zone");
await node.kv.init();
const policy = { maxShards: 64, maxKeysPerShard: 10_000 };
const keyspace = await node.kv.openKeyspace("sessions", sessionModule, null, policy);
sessions = doubleSessions(mapSessions(map), raftSessions(keyspace));
await sessions.set("s7", { user: "user-7", seen: 2 });
await sessions.delete("s8");
console.log("2. written to both, read from the Map:", (await sessions.get("s7"))?.seen);

const copying = copySessions(map, keyspace);
await sessions.delete("s500");
await sessions.set("s1000", { user: "new", seen: 2 });
console.log("3. copied:", await copying);

sessions = raftSessions(keyspace);
let keys = 0;
for await (const _id of keyspace.keys()) keys += 1;
console.log("4. read from raft-kv:", await sessions.get("s7"), `${keys} sessions`);
console.log("   deleted ones stay deleted:", await sessions.get("s8"), await sessions.get("s500"));
await node.close();
