/**
 * Nodes leave and are restarted on purpose while clients call: nobody's call fails, and no key
 * waits for long.
 */
import { expect, it } from "vitest";
import { eventually } from "../node/support/waiting.ts";
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

const KEYS = 40;
const ONE_SHARD = { maxShards: 1 };
const LOAD = { keyspace: "counts", clients: 32, keys: KEYS };

async function pause(caller: ProcessNode): Promise<string> {
  const { longestPauseOfKey } = await caller.call<LoadReport>("progress");
  return `a key waited at most ${longestPauseOfKey.toFixed(0)} ms`;
}

it("no call fails while nodes leave one after another and come back", async () => {
  const nodes = await startCounting(3, ONE_SHARD);
  const caller = await startCaller(nodes);
  await caller.call("load", LOAD);
  await goesOn(caller, 500);
  for (const role of ["leader", "follower"]) {
    const leader = await leaderOf(nodes, "counts_0");
    const leaving = role === "leader" ? leader : nodes.find((node) => node !== leader);
    if (leaving === undefined) throw new Error("there is no such node");
    await caller.call("resetPauses");
    await leaving.call("fleet.deactivate");
    console.log(`the ${role} has left: ${await pause(caller)}`);
    const active = await caller.call<Record<string, string[]>>("fleet.activeNodes");
    expect(Object.values(active).flat()).not.toContain(leaving.name);
    await goesOn(caller, 500);
    await caller.call("resetPauses");
    expect(await leaving.call("activate", leaving.zone)).toBe(leaving.name);
    await leaving.call("open", "counts", ONE_SHARD);
    await spread(nodes, 3);
    console.log(`and is back: ${await pause(caller)}`);
    await goesOn(caller, 500);
  }
  const report = await caller.call<LoadReport>("stopLoad");
  expect(report.errors).toEqual({});
  for (const node of nodes) {
    expect(checkCounts(await node.call<number[]>("counts", "counts", KEYS), report)).toEqual([]);
  }
}, 120_000);

it("no call fails while all nodes are restarted one after another", async () => {
  const nodes = await startCounting(3, ONE_SHARD);
  const caller = await startCaller(nodes);
  await caller.call("load", LOAD);
  await goesOn(caller, 500);
  for (const node of nodes) {
    const role = (await leaderOf(nodes, "counts_0")) === node ? "leader" : "follower";
    await caller.call("resetPauses");
    await node.call("close");
    await node.kill();
    await goesOn(caller, 500);
    await node.activate();
    await node.call("open", "counts", ONE_SHARD);
    console.log(`a ${role} was restarted: ${await pause(caller)}`);
    // The next one goes when this one is a member again that others can count on.
    await eventually("all nodes in reach", async () => {
      const missed = await caller.call<Record<string, string>>("fleet.unreachableNodes");
      return Object.keys(missed).length === 0;
    });
    await spread(nodes, 3);
  }
  const report = await caller.call<LoadReport>("stopLoad");
  expect(report.errors).toEqual({});
  for (const node of nodes) {
    expect(checkCounts(await node.call<number[]>("counts", "counts", KEYS), report)).toEqual([]);
  }
}, 120_000);
