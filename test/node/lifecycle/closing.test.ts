/** Closing settles every promise, flushes, and may be called again and at once. */
import { expect, it } from "vitest";
import type { RaftKVError, RaftKVNode } from "../../../ts/index.ts";
import { counterModule, registerModule } from "../support/modules.ts";
import { newNode, openNode, scratchDirectory } from "../support/nodes.ts";
import { nothingUnhandled } from "../support/unhandled.ts";

nothingUnhandled();
const policy = { maxShards: 1 };

it("is idempotent, and calls at once share one closing", async () => {
  const node = await openNode({ dataDir: scratchDirectory() });
  await Promise.all(Array.from({ length: 10 }, () => node.close()));
  await node.close();
  await newNode().close();
});

it("waits for an activation under way", async () => {
  for (let round = 0; round < 5; round++) {
    const node = newNode({ dataDir: scratchDirectory() });
    const activated = node.fleet.activate("zone");
    await Promise.all([activated, node.close()]);
    await expect(node.fleet.activeNodes()).rejects.toMatchObject({ code: "NOT_ACTIVE" });
  }
});

it("settles everything in flight; what was acknowledged is there, what was not applied is not", async () => {
  const dataDir = scratchDirectory();
  let floor = 0;
  let ceiling = 0;
  for (let round = 0; round < 10; round++) {
    const node = await openNode({ dataDir });
    const keyspace = await node.kv.openKeyspace("k", counterModule, null, policy);
    const value = (await keyspace.query("key", "get")) ?? 0;
    expect(value).toBeGreaterThanOrEqual(floor);
    expect(value).toBeLessThanOrEqual(ceiling);
    const calls: Promise<unknown>[] = [];
    const count = 500;
    for (let at = 0; at < count; at++) calls.push(keyspace.command("key", "add"));
    if (round % 3 !== 0) await new Promise((resolve) => setTimeout(resolve, round));
    const closing = node.close();
    const late = keyspace.command("key", "add");
    const results = await Promise.allSettled([...calls, late]);
    await closing;
    const acknowledged = results.filter(({ status }) => status === "fulfilled").length;
    const failures = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason as RaftKVError] : [],
    );
    for (const error of failures) expect(["CLOSED", "NOT_ACTIVE"]).toContain(error.code);
    const unknown = failures.filter(({ outcome }) => outcome === "unknown").length;
    expect(results.at(-1)?.status).toBe("rejected");
    floor = value + acknowledged;
    ceiling = value + acknowledged + unknown;
  }
});

it("ends queries, walks, registrations and calls on groups with typed errors", async () => {
  const node = await openNode({ dataDir: scratchDirectory() });
  const keyspace = await node.kv.registerKeyspace("k", counterModule, null, policy);
  await Promise.all(Array.from({ length: 2_000 }, (_, at) => keyspace.command(at, "add")));
  await node.fleet.addConsensusGroup("g", 1, { module: registerModule });
  const walk = (async () => {
    for await (const key of keyspace.keys()) void key;
  })();
  const calls: Promise<unknown>[] = [
    walk,
    keyspace.query(1, "get"),
    keyspace.commandOnAllKeys("add"),
    node.kv.registerKeyspace("other", counterModule, null, policy),
    node.kv.deregisterKeyspace("k"),
    node.fleet.command("g", { write: 1 }),
    node.fleet.query("g", "read"),
    node.fleet.addConsensusGroup("more", 1, { module: registerModule }),
    node.fleet.removeConsensusGroup("g"),
  ];
  const settled = Promise.allSettled(calls);
  await node.close();
  for (const result of await settled) {
    if (result.status === "fulfilled") continue;
    expect(result.reason, String(result.reason)).toHaveProperty("action");
    expect(["CLOSED", "NOT_ACTIVE", "NO_SUCH_KEYSPACE", "NOT_FOUND", "NO_SUCH_SHARD"]).toContain(
      result.reason.code,
    );
  }
});

it("closes at the end of `await using`", async () => {
  const dataDir = scratchDirectory();
  let used: RaftKVNode | undefined;
  {
    await using node = newNode({ dataDir });
    used = node;
    await node.fleet.activate("zone");
  }
  expect(used).toBeDefined();
  await expect(used?.fleet.nodeName()).rejects.toMatchObject({ code: "NOT_ACTIVE" });
  const again = newNode({ dataDir });
  await again.fleet.activate("zone");
  await again[Symbol.asyncDispose]();
  await newNode({ dataDir }).fleet.activate("zone");
});
