/** Signals and time limits end a call; what is known of its command's effect is told, and true. */
import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import type { RaftKVError } from "../../../ts/index.ts";
import { expectCode } from "../support/errors.ts";
import { counterModule, registerModule } from "../support/modules.ts";
import { openNode, scratchDirectory } from "../support/nodes.ts";
import { nothingUnhandled } from "../support/unhandled.ts";

nothingUnhandled();
const policy = { maxShards: 1 };

function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

it("does not apply a command whose signal was aborted before the call", async () => {
  const { kv, fleet } = await openNode();
  const keyspace = await kv.registerKeyspace("k", counterModule, null, policy);
  await fleet.addConsensusGroup("g", 1, { module: registerModule });
  const signal = AbortSignal.abort();
  const error = await expectCode(() => keyspace.command("key", "add", { signal }), "ABORTED");
  expect(error.outcome).toBe("not applied");
  await expectCode(() => keyspace.query("key", "get", { signal }), "ABORTED");
  await expectCode(() => fleet.command("g", { write: 1 }, { signal }), "ABORTED");
  await expectCode(() => fleet.query("g", "read", { signal }), "ABORTED");
  expect(await keyspace.command("key", "add")).toBe(1);
  expect(await fleet.query("g", "read")).toBe("empty");
});

it("says unknown for a command that was aborted in flight; it took effect once or not at all", async () => {
  const { kv } = await openNode({ dataDir: scratchDirectory() });
  const keyspace = await kv.registerKeyspace("k", counterModule, null, policy);
  let acknowledged = 0;
  let unknown = 0;
  for (let round = 0; round < 50; round++) {
    const controller = new AbortController();
    const calls = Array.from({ length: 10 }, () =>
      keyspace.command("key", "add", { signal: controller.signal }),
    );
    if (round % 2 === 1) await null;
    controller.abort();
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === "fulfilled") {
        acknowledged++;
        continue;
      }
      const error = result.reason as RaftKVError;
      expect(error.code).toBe("ABORTED");
      if (error.outcome === "unknown") unknown++;
      else expect(error.outcome).toBe("not applied");
    }
  }
  expect(unknown).toBeGreaterThan(0);
  const count = await keyspace.command("key", "add");
  expect(count).toBeGreaterThan(acknowledged);
  expect(count).toBeLessThanOrEqual(acknowledged + unknown + 1);
});

it("leaves no listener on a signal, whatever the end of the call", async () => {
  const { kv } = await openNode();
  const keyspace = await kv.registerKeyspace("k", counterModule, null, policy);
  const { signal } = new AbortController();
  for (let at = 0; at < 50; at++) {
    await keyspace.command("key", "add", { signal });
    await keyspace.query("key", "get", { signal });
    await keyspace.query("missing", "get", { signal });
  }
  expect(getEventListeners(signal, "abort").length).toBe(0);
});

it("times a command out with an unknown outcome; a retry is never applied twice", async () => {
  const { kv } = await openNode({ dataDir: scratchDirectory() });
  const keyspace = await kv.registerKeyspace("k", counterModule, null, policy);
  let acknowledged = 0;
  let unknown = 0;
  for (let round = 0; round < 8; round++) {
    const impatient =
      round % 2 === 0 ? { timeout: 1, retry: 0 } : { timeout: 1, retry: 50, retryInterval: 0 };
    const calls = Array.from({ length: 25 }, () => keyspace.command("key", "add", impatient));
    await null;
    block(120);
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === "fulfilled") {
        acknowledged++;
        continue;
      }
      const error = result.reason as RaftKVError;
      expect(error.code).toBe("TIMEOUT");
      expect(error.action).toBe("retry");
      expect(error.outcome).toBe("unknown");
      unknown++;
    }
  }
  expect(acknowledged + unknown).toBe(200);
  const count = await keyspace.command("key", "add");
  expect(count).toBeGreaterThan(acknowledged);
  expect(count).toBeLessThanOrEqual(acknowledged + unknown + 1);
});

it("retries count once: with retries to spare every command is acknowledged and exact", async () => {
  const { kv } = await openNode({ dataDir: scratchDirectory() });
  const keyspace = await kv.registerKeyspace("k", counterModule, null, policy);
  const options = { timeout: 1, retry: 1_000, retryInterval: 0 };
  let expected = 0;
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 100 }, () => keyspace.command("key", "add", options));
    await null;
    block(60);
    const counts = (await Promise.all(calls)).sort((a, b) => a - b);
    expect(counts).toEqual(calls.map((_, at) => expected + at + 1));
    expected += calls.length;
  }
  expect(await keyspace.query("key", "get")).toBe(expected);
});

it("answers stale queries, too", async () => {
  const { kv } = await openNode();
  const keyspace = await kv.registerKeyspace("k", counterModule, null, policy);
  await keyspace.command("key", "add");
  expect(await keyspace.query("key", "get", { consistency: "stale" })).toBe(1);
  expect(await keyspace.query("missing", "get", { consistency: "stale" })).toBeUndefined();
});
