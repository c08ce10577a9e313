/** Three processes of this machine beside one node, and beside etcd and Redis of three processes. */
import { join } from "node:path";
import { startCluster } from "../contenders/cluster.ts";
import { type Contender, fill, keyOf, valuesOf, withContenders } from "../contenders/contender.ts";
import { etcd } from "../contenders/etcd.ts";
import { operationsOf, raftKv } from "../contenders/raft-kv.ts";
import { redisWait } from "../contenders/redis.ts";
import { failoverMeasures, measureFailover } from "../failover.ts";
import { type Case, type Context, runCase, type Workload } from "../suite.ts";

async function openThree(context: Context): Promise<Contender[]> {
  const { directory, peers, say } = context;
  const cluster = await startCluster(join(directory, "three"));
  const otherCpu = async () => {
    const all = await Promise.all(cluster.members.map((member) => member.ask({ call: "cpu" })));
    return all.reduce((sum, used) => sum + Number(used), 0);
  };
  const here: Contender = {
    name: "raft-kv, at the leader",
    ...operationsOf(cluster.ledHere.keyspace),
    otherCpu,
    close: () => cluster.close(),
  };
  const elsewhere: Contender = {
    name: "raft-kv, led elsewhere",
    ...operationsOf(cluster.ledElsewhere.keyspace),
    otherCpu,
    close: async () => {},
  };
  const opened = [here, elsewhere, await raftKv(join(directory, "alone"), "raft-kv, one node")];
  for (const name of peers.found) {
    try {
      if (name === "redis") opened.push(await redisWait(peers, directory));
      if (name === "etcd") opened.push(await etcd(peers, directory, 3));
    } catch (error) {
      say(`  ${name} is skipped: ${error}`);
    }
  }
  await Promise.all([fill(here), fill(elsewhere)]);
  return opened;
}

export const cluster: Workload = {
  name: "cluster",
  title: "durable sets and linearizable gets on three processes of this machine",
  run: async (context) =>
    withContenders(await openThree(context), async (contenders) => {
      const cases: Case[] = [];
      for (const bytes of context.extent.bytes.slice(0, 2)) {
        const value = valuesOf(bytes);
        for (const clients of context.extent.clients.filter((count) => count <= 1024)) {
          for (const what of ["set", "get"]) {
            const runners = contenders.map((store) => ({
              ...store,
              operation: (turn: number) =>
                what === "set" ? store.set(keyOf(turn), value()) : store.get(keyOf(turn)),
            }));
            cases.push(await runCase(context, { what, clients, bytes }, runners));
          }
        }
      }
      return { cases, measures: [] };
    }),
};

export const failover: Workload = {
  name: "failover",
  title: "how long callers wait when a leader is killed, handed over, deactivated",
  run: async ({ directory, extent, say }) => {
    const three = await startCluster(join(directory, "three"));
    try {
      const rounds = [];
      for (let round = 0; round < extent.failovers; round++) {
        say(`  round ${round + 1} of ${extent.failovers}`);
        rounds.push(await measureFailover(three));
      }
      return { cases: [], measures: failoverMeasures(rounds) };
    } finally {
      await three.close();
    }
  },
};
