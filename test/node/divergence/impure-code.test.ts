/** Code that is not pure is found by the replicas' checksums, and the replicas are made equal again. */
import { describe, expect, it } from "vitest";
import type { DataModule, RaftKVNode, ReplicaDivergence, ValuePerKey } from "../../../ts/index.ts";
import { checkNow, equalStates, replicaOf } from "../support/checksums.ts";
import { startCluster } from "../support/cluster.ts";
import { inPlace } from "../support/placement.ts";
import { eventually } from "../support/waiting.ts";

const CHECKED_OFTEN = { replicaCheckInterval: 50 };
const ONE_SHARD = { maxShards: 1 };

type Command = "chance" | number;

const dice: ValuePerKey<number, string, Command, number, "get", number> = {
  command: (_before, _size, _key, arg) => {
    const value = arg === "chance" ? Math.random() : arg;
    return [0, 1, value, 1];
  },
  query: (value) => [value, 1],
};

async function startDice() {
  const { nodes } = await startCluster(3, CHECKED_OFTEN);
  await Promise.all(nodes.map((node) => node.kv.init()));
  for (const node of nodes) await node.kv.openKeyspace("dice", dice, null, ONE_SHARD);
  await inPlace(nodes);
  const told: { on: string; event: ReplicaDivergence }[] = [];
  const names = await Promise.all(nodes.map((node) => node.fleet.nodeName()));
  for (const [at, node] of nodes.entries()) {
    node.kv.events.on("replicaDivergence", (event) =>
      told.push({ on: names[at] as string, event }),
    );
  }
  return { nodes, names, told };
}

/** The value of a key as each node's replica has it, whoever leads. */
function stale(nodes: readonly RaftKVNode[], key: string): Promise<unknown[]> {
  return Promise.all(
    nodes.map((node) => node.kv.query("dice", key, "get", { consistency: "stale" })),
  );
}

describe("three nodes of which two follow", () => {
  it("find a command that is not pure, and make the followers what their leader is", async () => {
    const { nodes, names, told } = await startDice();
    const [first] = nodes as [RaftKVNode];
    for (let key = 0; key < 200; key++) await first.kv.command("dice", `key-${key}`, key);
    await equalStates(nodes, "dice_0");
    expect(told).toEqual([]);
    await first.kv.command("dice", "key-7", "chance");
    await eventually(
      "both followers to be told of, there and at the leader",
      () => told.length >= 4,
    );
    const leader = await first.fleet.whereisLeader("dice_0");
    expect(names).toContain(leader);
    const followers = names.filter((name) => name !== leader);
    for (const { on, event } of told) {
      expect(event).toMatchObject({ group: "dice_0", keyspace: "dice", shard: "dice_0", leader });
      expect(followers).toContain(event.node);
      expect([event.node, leader]).toContain(on);
      expect(event.index).toBeGreaterThan(200);
      expect(event.checksum).toMatch(/^[0-9a-f]{16}$/);
      expect(event.leaderChecksum).toMatch(/^[0-9a-f]{16}$/);
      expect(event.checksum).not.toBe(event.leaderChecksum);
    }
    await equalStates(nodes, "dice_0");
    const value = await first.kv.query("dice", "key-7", "get");
    expect(await stale(nodes, "key-7")).toEqual([value, value, value]);
    expect(await stale(nodes, "key-8")).toEqual([8, 8, 8]);
    // Whoever leads goes on from there.
    for (const node of nodes) await node.kv.command("dice", "key-7", 1);
    await equalStates(nodes, "dice_0");
    expect(await stale(nodes, "key-7")).toEqual([1, 1, 1]);
    expect(told.length).toBe(4);
  }, 60_000);

  it("serve all the while that commands go on and come out differently each time", async () => {
    const { nodes, told } = await startDice();
    const errors: unknown[] = [];
    let running = true;
    const clients = nodes.map(async (node, at) => {
      for (let count = 0; running; count++) {
        const argument = count % 50 === 0 ? "chance" : count;
        await node.kv
          .command("dice", `key-${at}-${count % 100}`, argument)
          .catch((error) => errors.push(error));
      }
    });
    await eventually("many divergences", () => told.length >= 20);
    running = false;
    await Promise.all(clients);
    expect(errors).toEqual([]);
    await equalStates(nodes, "dice_0");
  }, 60_000);

  it("find it in a consensus group as well", async () => {
    const { nodes } = await startCluster(3, CHECKED_OFTEN);
    const module: DataModule<number, "chance" | "add", number, "get", number> = {
      init: () => 0,
      command: (state, arg) => [0, arg === "chance" ? Math.random() : state + 1],
      query: (state) => state,
    };
    for (const node of nodes) await node.fleet.bindGroupModule("sum", module);
    await nodes[0]?.fleet.addConsensusGroup("sum", 3, { module });
    await inPlace(nodes);
    const told: ReplicaDivergence[] = [];
    for (const { kv } of nodes) kv.events.on("replicaDivergence", (event) => told.push(event));
    const [first] = nodes as [RaftKVNode];
    await first.fleet.command("sum", "add");
    await equalStates(nodes, "sum");
    expect(told).toEqual([]);
    await first.fleet.command("sum", "chance");
    await eventually("both followers to be told of", () => told.length >= 4);
    expect(told[0]).not.toHaveProperty("keyspace");
    await equalStates(nodes, "sum");
    const sum = await first.fleet.query("sum", "get");
    for (const node of nodes) expect(await node.fleet.queryNonLeader("sum", "get")).toBe(sum);
  }, 60_000);

  it("compare nothing while nothing changes", async () => {
    const { nodes } = await startDice();
    await nodes[0]?.kv.command("dice", "a", 1);
    await equalStates(nodes, "dice_0");
    const index = replicaOf(nodes[0] as RaftKVNode, "dice_0").applied;
    await new Promise((resolve) => setTimeout(resolve, 10 * CHECKED_OFTEN.replicaCheckInterval));
    expect(replicaOf(nodes[0] as RaftKVNode, "dice_0").applied).toBe(index);
    await checkNow(nodes, "dice_0");
  }, 60_000);
});
