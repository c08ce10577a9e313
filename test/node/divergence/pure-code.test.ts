/**
 * Code that is pure is never reported, whatever happens to the replicas: shards split and merge,
 * nodes are restarted, snapshots are taken and installed.
 *
 * `RAFT_KV_TEST_SEED=1 npx vitest run test/node/divergence/pure-code.test.ts` repeats seed 1.
 */
import { expect, it } from "vitest";
import type { RaftKVNode, ReplicaDivergence, ValuePerKey } from "../../../ts/index.ts";
import { coreOf, equalStates } from "../support/checksums.ts";
import { freeAddresses, QUICK_CLUSTER } from "../support/cluster.ts";
import { newNode, QUICK, scratchDirectory } from "../support/nodes.ts";
import { inPlace } from "../support/placement.ts";
import { seeded } from "../support/random.ts";
import { shardNames } from "../support/waiting.ts";

const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const KEYS = 120;
const ROUNDS = 3;
const COMMANDS_PER_ROUND = 400;
/** Bytes, and commands of a round with so many, that make a log long enough for snapshots. */
const BALLAST = 256 * 1024;
const BALLASTS_PER_ROUND = 50;
const POLICY = { maxShards: 8, maxKeysPerShard: 30 };

type Command = { grow: number } | { ballast: Uint8Array } | "chance" | "remove" | "fail";
interface Value {
  readonly parts: Map<string | number, unknown>;
  readonly seen: Set<unknown>;
  last?: unknown;
}

/** Changes values in place, in orders that differ from key to key, and by time and chance. */
const mixed: ValuePerKey<Value, unknown, Command, unknown, "get", number> = {
  command: (previous, size, key, arg, { now, random }) => {
    const value: Value = previous ?? { parts: new Map(), seen: new Set() };
    if (arg === "remove") return [size, 1, undefined, 0];
    if (arg === "fail") throw new RangeError(`not ${String(key)}`);
    if (arg === "chance") {
      value.parts.set(Math.floor(random() * 5), { at: new Date(now), luck: random() });
      value.last = value.parts;
      return [random(), 1, value, size + 0.1];
    }
    if ("ballast" in arg) {
      value.last = arg.ballast;
      return [null, 1, value, size];
    }
    value.parts.delete(arg.grow % 3);
    value.parts.set(`part ${arg.grow}`, [arg.grow, new Array(2), -0, Number.NaN, 10n ** 20n]);
    value.seen.add(arg.grow % 7);
    if (arg.grow % 11 === 0) value.last = new RangeError("kept", { cause: value });
    return [value.seen, 1, value, size + 0.7];
  },
  query: (value) => [value.parts.size, 1],
};

it(
  `pure code is never reported, seed ${SEED}`,
  async () => {
    console.log(`repeat with: RAFT_KV_TEST_SEED=${SEED} npx vitest run test/node/divergence/pure`);
    const random = seeded(SEED);
    const seeds = await freeAddresses(3);
    const directories = seeds.map(() => scratchDirectory());
    const told: ReplicaDivergence[] = [];
    let snapshots = 0;
    const options = { ...QUICK_CLUSTER, ...QUICK, seeds, replicaCheckInterval: 30 };
    const open = async (at: number) => {
      const own = { listen: seeds[at], dataDir: directories[at] as string };
      const node = newNode({ ...options, ...own, durability: "buffered" });
      node.kv.events.on("replicaDivergence", (event) => told.push(event));
      await node.fleet.activate(`zone ${at}`);
      await node.kv.init();
      await node.kv.openKeyspace("mixed", mixed, null, POLICY);
      await node.kv.openKeyspace("heavy", mixed, null, { maxShards: 1 });
      return node;
    };
    const nodes: RaftKVNode[] = await Promise.all([open(0), open(1), open(2)]);
    await inPlace(nodes);
    const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)] as T;
    const command = (): Command => {
      const chance = random();
      if (chance < 0.1) return "remove";
      if (chance < 0.2) return "fail";
      if (chance < 0.4) return "chance";
      return { grow: Math.floor(random() * 1000) };
    };
    const run = async (keys: number) => {
      for (let sent = 0; sent < COMMANDS_PER_ROUND; sent += 20) {
        const calls = Array.from({ length: 20 }, () =>
          pick(nodes).kv.command("mixed", `key-${Math.floor(random() * keys)}`, command()),
        );
        for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
          if (reason !== undefined) expect(reason).toMatchObject({ code: "COMMAND_FAILED" });
        }
      }
    };
    for (let round = 0; round < ROUNDS; round++) {
      // Many keys have shards split, few have them merge again.
      await run(round % 2 === 0 ? KEYS : 10);
      for (let key = 10; round % 2 === 1 && key < KEYS; key++) {
        await nodes[0]?.kv.command("mixed", `key-${key}`, "remove");
      }
      for (let sent = 0; sent < BALLASTS_PER_ROUND; sent++) {
        const ballast = new Uint8Array(BALLAST).fill(sent);
        await pick(nodes).kv.command("heavy", `key-${sent % 5}`, { ballast });
      }
      const at = Math.floor(random() * 3);
      snapshots += coreOf(nodes[at] as RaftKVNode).engine.statistics().snapshots;
      await nodes[at]?.close();
      nodes[at] = await open(at);
      await inPlace(nodes);
    }
    await run(KEYS);
    const shards = await shardNames(nodes[0] as RaftKVNode, "mixed");
    for (const name of [...shards, "heavy_0"]) await equalStates(nodes, name);
    expect(told).toEqual([]);
    for (const node of nodes) snapshots += coreOf(node).engine.statistics().snapshots;
    expect(snapshots).toBeGreaterThan(0);
  },
  ROUNDS * 40_000,
);
