/**
 * More calls than there is room for, event loops that stand still, members that answer nobody: calls
 * succeed or say `OVERLOADED`, memory stays bounded, and no leader is lost by a busy program alone.
 */
import { expect, it } from "vitest";
import { REMOTE_READS_MAX, REQUESTS_IN_FLIGHT_MAX } from "../../ts/limits.ts";
import { eventually } from "../node/support/waiting.ts";
import {
  type GroupStanding,
  leaderOf,
  type ProcessNode,
  startCounting,
} from "./support/cluster.ts";

const ONE_SHARD = { maxShards: 1 };
/** Calls are not to end by their time limits, however slow the machine is. */
const PATIENT = { timeout: 120_000, retry: 0 };
const ELECTION_TIMEOUT = 500;
const TIMING = { heartbeatInterval: 100, electionTimeout: ELECTION_TIMEOUT };
/** What a process may take at most, with all that its calls, queues and caches may hold. */
const MEGABYTES_MAX = 1_000;

interface Standing {
  readonly megabytes: number;
  readonly unhandled: number;
}

type Outcomes = Readonly<Record<string, number>>;

async function expectSound(
  nodes: readonly ProcessNode[],
  megabytesMax = MEGABYTES_MAX,
): Promise<void> {
  for (const node of nodes) {
    const { megabytes, unhandled } = await node.call<Standing>("standing");
    expect(unhandled).toBe(0);
    expect(megabytes).toBeLessThan(megabytesMax);
  }
}

/** Who leads each group, and in which term, as a node's engine knows. */
async function leaders(node: ProcessNode): Promise<unknown[]> {
  const groups = await node.call<(GroupStanding & { term: number })[]>("groups");
  return groups.map(({ name, leader, term }) => ({ name, leader, term }));
}

it("calls beyond the limits are refused at once, and all others succeed", async () => {
  const nodes = await startCounting(3, ONE_SHARD, TIMING);
  const leader = await leaderOf(nodes, "counts_0");
  const follower = nodes.find((node) => node !== leader) as ProcessNode;
  const flood = (node: ProcessNode, calls: number, query: boolean) =>
    node.call<Outcomes>("flood", { keyspace: "counts", calls, query, options: PATIENT });
  expect(await flood(follower, 100_000, false)).toEqual({ ok: 100_000 });
  const more = 20_000;
  expect(await flood(leader, REQUESTS_IN_FLIGHT_MAX + more, false)).toEqual({
    ok: REQUESTS_IN_FLIGHT_MAX,
    "OVERLOADED not applied": more,
  });
  expect(await flood(leader, 100_000, true)).toEqual({ ok: 100_000 });
  const asked = await flood(follower, REMOTE_READS_MAX + more, true);
  const { ok = 0, "OVERLOADED not applied": refused = 0, ...others } = asked;
  expect(others).toEqual({});
  expect(ok + refused).toBe(REMOTE_READS_MAX + more);
  expect(ok).toBeGreaterThan(0);
  await expectSound(nodes);
  // Nothing of it is left that would keep calls waiting.
  for (const node of nodes) expect(await flood(node, 100, false)).toEqual({ ok: 100 });
}, 300_000);

it("an event loop that stands still loses no leader; commands of others go on meanwhile", async () => {
  const nodes = await startCounting(3, ONE_SHARD, TIMING);
  const busy = await leaderOf(nodes, "counts_0");
  const other = nodes.find((node) => node !== busy) as ProcessNode;
  const add = () => other.call<number>("kv.command", "counts", "key-0", { ballast: "" }, PATIENT);
  expect(await add()).toBe(1);
  const before = await leaders(other);
  const milliseconds = 8 * ELECTION_TIMEOUT;
  await busy.call("block", milliseconds);
  let isBusy = true;
  const answered = busy.call<Standing>("standing").then(() => {
    isBusy = false;
  });
  // Entries are committed and applied by the engines and hosts of the other two.
  let commands = 1;
  for (; commands < 20; commands++) expect(await add()).toBe(commands + 1);
  const stale = { ...PATIENT, consistency: "stale" };
  expect(await other.call<number>("kv.query", "counts", "key-0", "get", stale)).toBe(commands);
  const query = other.call<number>("kv.query", "counts", "key-0", "get", PATIENT);
  const wereMeanwhile = isBusy;
  await answered;
  expect(wereMeanwhile).toBe(true);
  // Linearizable queries wait for the leader's program: only that one has the state.
  expect(await query).toBe(commands);
  expect(await leaders(other)).toEqual(before);
  expect(await leaders(busy)).toEqual(before);
  expect(await busy.call("kv.query", "counts", "key-0", "get", PATIENT)).toBe(commands);
  await expectSound(nodes);
}, 60_000);

it("a member that answers nobody costs the others a bounded amount of memory", async () => {
  const nodes = await startCounting(3, ONE_SHARD, { ...TIMING, durability: "buffered" });
  const leader = await leaderOf(nodes, "counts_0");
  const dead = nodes.find((node) => node !== leader) as ProcessNode;
  dead.signal("SIGSTOP");
  const bytes = 64 * 1024;
  const pour = { keyspace: "counts", commands: 12_000, bytes, options: PATIENT };
  // Less than what the member that is dead has not got yet: that stays on the disks.
  const megabytesMax = (pour.commands * bytes) / 2 ** 20;
  await leader.call("pour", pour);
  await expectSound(
    nodes.filter((node) => node !== dead),
    megabytesMax,
  );
  dead.signal("SIGCONT");
  await eventually(
    "the member to have caught up",
    async () => {
      const [its, own] = await Promise.all(
        [dead, leader].map((node) =>
          node.call<(GroupStanding & { lastIndex: number })[]>("groups"),
        ),
      );
      const last = (groups: typeof its) =>
        groups?.find(({ name }) => name === "counts_0")?.lastIndex;
      return last(its) === last(own);
    },
    60_000,
  );
  await expectSound(nodes, megabytesMax);
}, 180_000);
