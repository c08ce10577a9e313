/**
 * Shards split and merge across three processes under load, and the process that carries this out
 * is killed in the middle, again and again: the shards tile, nothing is lost or doubled.
 *
 * `RAFT_KV_TEST_KILLS=10 RAFT_KV_TEST_SEED=1 npx vitest run test/process/moving-shards.test.ts`
 * repeats seed 1 with 10 kills.
 */
import { expect, it } from "vitest";
import { seeded } from "../node/support/random.ts";
import { eventually, sleep } from "../node/support/waiting.ts";
import {
  checkCounts,
  type GroupStanding,
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
const REPEAT = `RAFT_KV_TEST_KILLS=${KILLS} RAFT_KV_TEST_SEED=${SEED} npx vitest run test/process/moving-shards.test.ts`;
const KEYS = 120;
const HASH_END = 2 ** 27;
const DIRECTORY = "RaftKV.Keyspaces";
/** A split or a merge takes about as long: the kill comes at any of its steps, or between two. */
const KILL_WITHIN_MS = 400;
const LOAD = { keyspace: "counts", clients: 24, keys: KEYS };
const QUICK = {
  statsCollectionInterval: 50,
  workflowExecutionInterval: 20,
  shardIneligiblePeriodAfterSplitOrMerge: 50,
};
const MANY = { maxShards: 16, maxKeysPerShard: 20, loadPerQueryToMissingKey: 0 };
const FEW = { ...MANY, maxKeysPerShard: 1_000_000 };

interface Shard {
  readonly start: number;
  readonly end: number;
  readonly state: string;
}

/** The name of the node that leads the directory unless it is missing, once `count` vote in it. */
async function preferredLeader(asked: ProcessNode, count: number): Promise<string> {
  const members = await eventually(`${count} voters of the directory`, async () => {
    const groups = await asked.call<GroupStanding[]>("groups");
    const directory = groups.find(({ name }) => name === DIRECTORY);
    return directory?.members.length === count && directory.members;
  });
  return `node-${members[0]?.toString(36)}`;
}

function tile(shards: readonly Shard[]): boolean {
  let from = 0;
  for (const { start, end } of shards) {
    if (start !== from || end <= start) return false;
    from = end;
  }
  return from === HASH_END;
}

async function shardsOf(node: ProcessNode): Promise<Shard[]> {
  const shards = await node.call<Shard[]>("kv.shards", "counts");
  expect(tile(shards), JSON.stringify(shards)).toBe(true);
  return shards;
}

it(
  `loses nothing when who splits and merges shards is killed, seed ${SEED}`,
  async () => {
    console.log(`repeat with: ${REPEAT}`);
    const random = seeded(SEED);
    const nodes = await startCounting(3, FEW, QUICK);
    // One of two: it may not be who is to lead the directory, for it stays.
    const callers = [await startCaller(nodes, QUICK), await startCaller(nodes, QUICK)];
    const preferred = await preferredLeader(nodes[0] as ProcessNode, 5);
    const caller = callers.find(({ name }) => name !== preferred) as ProcessNode;
    const others = [...nodes, ...callers].filter((node) => node !== caller);
    await caller.call("load", LOAD);
    await goesOn(caller, 500);
    for (let kill = 0; kill < KILLS; kill++) {
      const splits = kill % 2 === 0;
      // A shard that was made while one was away has two members, and may lose neither.
      await spread(nodes, 3);
      await caller.call("kv.setKeyspacePolicy", "counts", splits ? MANY : FEW);
      const victim = await leaderOf(others, DIRECTORY);
      // When exactly does not matter: whatever was begun then has to be gone on with.
      await sleep(random() * KILL_WITHIN_MS);
      await victim.kill();
      await goesOn(caller, 200);
      await victim.activate();
      if (nodes.includes(victim)) await victim.call("open", "counts", FEW);
      const { longestPause, errors } = await caller.call<LoadReport>("progress");
      const pause = `${longestPause.toFixed(0)} ms without a command`;
      console.log(`killed while it ${splits ? "split" : "merged"}: ${pause}`, errors);
      await caller.call("resetPauses");
      await eventually(splits ? "some shards" : "one shard", async () => {
        const { length } = await shardsOf(caller);
        return splits ? length >= 4 : length === 1;
      });
    }
    const report = await caller.call<LoadReport>("stopLoad");
    for (const node of nodes) {
      await shardsOf(node);
      expect(checkCounts(await node.call<number[]>("counts", "counts", KEYS), report)).toEqual([]);
    }
  },
  KILLS * 30_000 + 60_000,
);
