/** The contenders of the ordinary workloads: raft-kv first, then ceilings, then the peers found. */
import { join } from "node:path";
import type { Context } from "../suite.ts";
import { mapCeiling } from "./ceilings.ts";
import type { Contender } from "./contender.ts";
import { lmdb, sqlite } from "./embedded.ts";
import { etcd } from "./etcd.ts";
import { raftKv } from "./raft-kv.ts";
import { redis } from "./redis.ts";

/** Opens one node of raft-kv, the Map, and each peer that was found and starts. */
export async function openAll({ directory, peers, say }: Context): Promise<Contender[]> {
  const opened: Contender[] = [await raftKv(join(directory, "store")), mapCeiling()];
  const open = {
    lmdb: () => lmdb(peers, directory),
    "better-sqlite3": () => sqlite(peers, directory),
    redis: () => redis(peers, directory),
    etcd: () => etcd(peers, directory, 1),
  };
  for (const name of peers.found) {
    try {
      opened.push(await open[name]());
    } catch (error) {
      say(`  ${name} is skipped: ${error}`);
    }
  }
  return opened;
}
