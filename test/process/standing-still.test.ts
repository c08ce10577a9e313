/**
 * Processes stand still (SIGSTOP) and go on: one that led before never answers from its old state,
 * and a follower that stands still is missed by nobody.
 *
 * `RAFT_KV_TEST_SEED=1 npx vitest run test/process/standing-still.test.ts` repeats seed 1.
 */
import { expect, it } from "vitest";
import { seeded } from "../node/support/random.ts";
import { eventually } from "../node/support/waiting.ts";
import {
  checkCounts,
  goesOn,
  type LoadReport,
  leaderOf,
  type ProcessNode,
  startCaller,
  startCounting,
} from "./support/cluster.ts";

const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const ROUNDS = 3;
const KEYS = 20;
/** Queries that wait for the process while it stands still: it takes them when it wakes. */
const WAITING_QUERIES = 20;
const ONE_SHARD = { maxShards: 1 };
const LOAD = { keyspace: "counts", clients: 16, keys: KEYS };
/** A leader that stands still is replaced after an election timeout; this is many of them. */
const PATIENT = { timeout: 500, retry: 40, retryInterval: 100 };

function add(node: ProcessNode, key: string): Promise<number> {
  return node.call<number>("kv.command", "counts", key, { ballast: "" }, PATIENT);
}

it(
  `a leader that stood still answers nothing from before, seed ${SEED}`,
  async () => {
    console.log(
      `repeat with: RAFT_KV_TEST_SEED=${SEED} npx vitest run test/process/standing-still`,
    );
    const random = seeded(SEED);
    const nodes = await startCounting(3, ONE_SHARD);
    for (let round = 0; round < ROUNDS; round++) {
      const key = `key-${round}`;
      const old = await leaderOf(nodes, "counts_0");
      const others = nodes.filter((node) => node !== old);
      const writer = others[Math.floor(random() * others.length)] as ProcessNode;
      expect(await add(writer, key)).toBe(1);
      expect(await old.call<number>("kv.query", "counts", key, "get")).toBe(1);
      old.signal("SIGSTOP");
      // Only another leader can have acknowledged this, after the old one's lease was over.
      expect(await add(writer, key)).toBe(2);
      const answers = Array.from({ length: WAITING_QUERIES }, () =>
        old.call<number>("kv.query", "counts", key, "get", PATIENT),
      );
      old.signal("SIGCONT");
      expect(await Promise.all(answers)).toEqual(new Array(WAITING_QUERIES).fill(2));
      expect(await add(old, key)).toBe(3);
      expect(await writer.call<number>("kv.query", "counts", key, "get", PATIENT)).toBe(3);
    }
  },
  ROUNDS * 30_000,
);

it("commands of a leader that stood still are not lost and not doubled", async () => {
  const nodes = await startCounting(3, ONE_SHARD);
  const old = await leaderOf(nodes, "counts_0");
  const other = nodes.find((node) => node !== old) as ProcessNode;
  // The clients stand still together with the leader, in the middle of what they do.
  await old.call("load", LOAD);
  await goesOn(old, 200);
  old.signal("SIGSTOP");
  await add(other, "other");
  old.signal("SIGCONT");
  await goesOn(old, 200);
  const report = await old.call<LoadReport>("stopLoad");
  for (const node of nodes) {
    expect(checkCounts(await node.call<number[]>("counts", "counts", KEYS), report)).toEqual([]);
  }
}, 60_000);

it("a follower that stands still is missed by nobody", async () => {
  const nodes = await startCounting(3, ONE_SHARD);
  const caller = await startCaller(nodes);
  const leader = await leaderOf(nodes, "counts_0");
  const follower = nodes.find((node) => node !== leader) as ProcessNode;
  await caller.call("load", LOAD);
  await goesOn(caller, 200);
  follower.signal("SIGSTOP");
  // Until the others have noticed, which takes longer than an election timeout.
  await eventually("a node out of reach", async () => {
    const missed = await leader.call<Record<string, string>>("fleet.unreachableNodes");
    return follower.name in missed;
  });
  await goesOn(caller, 200);
  follower.signal("SIGCONT");
  await goesOn(caller, 200);
  const report = await caller.call<LoadReport>("stopLoad");
  expect(report.errors).toEqual({});
  const counts = await follower.call<number[]>("counts", "counts", KEYS);
  expect(checkCounts(counts, report)).toEqual([]);
  await eventually("all nodes in reach", async () => {
    const missed = await leader.call<Record<string, string>>("fleet.unreachableNodes");
    return Object.keys(missed).length === 0;
  });
}, 60_000);
