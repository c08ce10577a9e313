/**
 * Processes of one cluster die, stand still and come back: nothing that was acknowledged is lost,
 * nothing takes effect twice, nothing is answered from a state that is behind.
 *
 * `RAFT_KV_TEST_KILLS=20 RAFT_KV_TEST_SEED=1 npx vitest run test/process/failover.test.ts` repeats
 * seed 1 with 20 kills.
 */
import { expect, it } from "vitest";
import { seeded } from "../node/support/random.ts";
import {
  checkCounts,
  goesOn,
  type LoadReport,
  leaderOf,
  type ProcessNode,
  spread,
  startCaller,
  startCounting,
} from "./support/cluster.ts";

const KILLS = Number(process.env.RAFT_KV_TEST_KILLS ?? 4);
const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const REPEAT = `RAFT_KV_TEST_KILLS=${KILLS} RAFT_KV_TEST_SEED=${SEED} npx vitest run test/process/failover.test.ts`;
const KEYS = 40;
const ONE_SHARD = { maxShards: 1 };
const LOAD = { keyspace: "counts", clients: 32, keys: KEYS };

it(
  `loses and doubles nothing when leaders are killed under load, seed ${SEED}`,
  async () => {
    console.log(`repeat with: ${REPEAT}`);
    const random = seeded(SEED);
    const nodes = await startCounting(3, ONE_SHARD);
    const client = await startCaller(nodes);
    await client.call("load", LOAD);
    for (let kill = 0; kill < KILLS; kill++) {
      await goesOn(client, 200);
      const leads = await leaderOf(nodes, "counts_0");
      const victim = random() < 0.7 ? leads : (nodes[Math.floor(random() * 3)] as ProcessNode);
      await client.call("resetPauses");
      await victim.kill();
      await goesOn(client, 200);
      const { longestPause } = await client.call<LoadReport>("progress");
      const role = leads === victim ? "the leader" : "a follower";
      console.log(`${role} killed: at most ${longestPause.toFixed(0)} ms without a command`);
      await victim.activate();
      await victim.call("open", "counts", ONE_SHARD);
    }
    const report = await client.call<LoadReport>("stopLoad");
    for (const node of nodes) {
      const counts = await node.call<number[]>("counts", "counts", KEYS);
      expect(checkCounts(counts, report)).toEqual([]);
    }
  },
  KILLS * 30_000 + 60_000,
);

it("comes back as itself after all processes were killed at once", async () => {
  const nodes = await startCounting(3, { maxShards: 4, maxKeysPerShard: 10 });
  const [client] = nodes as [ProcessNode];
  await client.call("load", LOAD);
  await goesOn(client, 2_000);
  const report = await client.call<LoadReport>("stopLoad");
  await Promise.all(nodes.map((node) => node.kill()));
  const names = nodes.map(({ name }) => name);
  await Promise.all(nodes.map((node) => node.activate()));
  for (const node of nodes) await node.call("open", "counts", ONE_SHARD);
  expect(nodes.map(({ name }) => name)).toEqual(names);
  await spread(nodes, 3);
  for (const node of nodes) {
    expect(checkCounts(await node.call<number[]>("counts", "counts", KEYS), report)).toEqual([]);
  }
}, 120_000);
