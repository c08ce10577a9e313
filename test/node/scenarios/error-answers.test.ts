/** RaftKV's scenario: what callers are told, one test for each code that one node can give. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { RaftKVError, ValuePerKey } from "../../../ts/index.ts";
import { expectCode } from "../support/errors.ts";
import { counterModule, mapModule, registerModule } from "../support/modules.ts";
import { newNode, openNode, scratchDirectory } from "../support/nodes.ts";
import { nothingUnhandled } from "../support/unhandled.ts";
import { eventually } from "../support/waiting.ts";

const policy = { maxShards: 1 };

/** Counts the arguments that it was given. */
const lengthModule: ValuePerKey<number, string, Uint8Array, number, "get", number> = {
  command: (count = 0) => [count + 1, 1, count + 1, 1],
  query: (count) => [count, 1],
};

describe("error answers", () => {
  nothingUnhandled();

  it("ALREADY_REGISTERED, and the first registration stays as it was", async () => {
    const { kv } = await openNode();
    await kv.registerKeyspace("k", mapModule, null, { maxShards: 3 });
    await kv.command("k", "key", { set: 1 });
    const again = () => kv.registerKeyspace("k", mapModule, null, { maxShards: 5 });
    const error = await expectCode(again, "ALREADY_REGISTERED");
    expect(error.keyspace).toBe("k");
    expect((await kv.getKeyspacePolicy("k"))?.maxShards).toBe(3);
    expect(await kv.query("k", "key", "get")).toBe(1);
  });

  it("ALREADY_REGISTERED for all but one of registrations at once", async () => {
    const { kv } = await openNode();
    const all = await Promise.allSettled(
      Array.from({ length: 10 }, () => kv.registerKeyspace("k", mapModule, null, policy)),
    );
    expect(all.filter(({ status }) => status === "fulfilled").length).toBe(1);
    for (const one of all) {
      if (one.status === "rejected") expect(one.reason.code).toBe("ALREADY_REGISTERED");
    }
  });

  it("openKeyspace at once by many opens one keyspace", async () => {
    const { kv } = await openNode();
    const all = await Promise.all(
      Array.from({ length: 10 }, () => kv.openKeyspace("k", counterModule, null, policy)),
    );
    await Promise.all(all.map((keyspace) => keyspace.command("key", "add")));
    expect(await kv.query("k", "key", "get")).toBe(10);
  });

  it("NO_SUCH_KEYSPACE from every call about one that does not exist", async () => {
    const { kv } = await openNode();
    const calls = [
      () => kv.command("nobody", "key", 1),
      () => kv.query("nobody", "key", 1),
      () => kv.deregisterKeyspace("nobody"),
      () => kv.setKeyspacePolicy("nobody", policy),
      () => kv.shards("nobody"),
      () => kv.reduceKeyspaceShardNames("nobody", 0, () => 0),
      () => (async () => (await kv.keys("nobody")[Symbol.asyncIterator]().next()).value)(),
    ];
    for (const call of calls) {
      const error = await expectCode(call, "NO_SUCH_KEYSPACE");
      expect(error.keyspace).toBe("nobody");
    }
    expect(await kv.getKeyspacePolicy("nobody")).toBeNull();
  });

  it("NO_SUCH_KEYSPACE once a keyspace is deregistered, also for calls in flight", async () => {
    const { kv } = await openNode();
    const keyspace = await kv.registerKeyspace("k", counterModule, null, policy);
    await keyspace.command("key", "add");
    const flying = Array.from({ length: 100 }, () => keyspace.command("key", "add"));
    const removing = kv.deregisterKeyspace("k");
    const settled = await Promise.allSettled(flying);
    await removing;
    for (const one of settled) {
      if (one.status === "rejected") expect(one.reason.code).toBe("NO_SUCH_KEYSPACE");
    }
    await expectCode(() => keyspace.command("key", "add"), "NO_SUCH_KEYSPACE");
    await expectCode(() => keyspace.query("key", "get"), "NO_SUCH_KEYSPACE");
    expect(await kv.listKeyspaces()).toEqual([]);
  });

  it("a keyspace of the same name is a new one: no data, and its own code", async () => {
    const { kv } = await openNode();
    await kv.registerKeyspace("k", counterModule, null, policy);
    await kv.command("k", "key", "add");
    await kv.deregisterKeyspace("k");
    await eventually("the name is free", async () => {
      try {
        await kv.registerKeyspace("k", mapModule, null, policy);
        return true;
      } catch (error) {
        expect((error as RaftKVError).code).toBe("CLEANUP_ONGOING");
        return false;
      }
    });
    expect(await kv.query("k", "key", "get")).toBeUndefined();
    expect(await kv.command("k", "key", { set: "new" })).toBe("ok");
    expect(await kv.query("k", "key", "get")).toBe("new");
  });

  it("NO_SUCH_SHARD", async () => {
    const { kv } = await openNode();
    await kv.registerKeyspace("k", mapModule, null, policy);
    for (const shard of ["k_1", "nobody_0", "k"]) {
      await expectCode(() => kv.listKeysInShard(shard), "NO_SUCH_SHARD");
      await expectCode(() => kv.commandOnAllKeysInShard(shard, "unset"), "NO_SUCH_SHARD");
    }
  });

  it("MODULE_NOT_BOUND after a restart, until the code is bound", async () => {
    const dataDir = scratchDirectory();
    const before = await openNode({ dataDir });
    await before.kv.registerKeyspace("k", mapModule, null, policy);
    await before.kv.command("k", "key", { set: "kept" });
    await before.close();
    const { kv } = await openNode({ dataDir });
    expect(await kv.listKeyspaces()).toEqual(["k"]);
    await expectCode(() => kv.command("k", "key", { set: 1 }), "MODULE_NOT_BOUND");
    await expectCode(() => kv.query("k", "key", "get"), "MODULE_NOT_BOUND");
    const keyspace = await kv.bindKeyspace("k", mapModule);
    expect(await keyspace.query("key", "get")).toBe("kept");
    expect(await kv.command("k", "key", { set: "more" })).toBe("ok");
  });

  it("DATA_CLONE at the call, before anything is sent", async () => {
    const { kv } = await openNode();
    await kv.registerKeyspace("k", mapModule, null, policy);
    const error = await expectCode(
      () => kv.command("k", "key", { set: { deep: [() => 1] } }),
      "DATA_CLONE",
    );
    expect(error.outcome ?? "not applied").toBe("not applied");
    expect(await kv.query("k", "key", "get")).toBeUndefined();
  });

  it("CLEANUP_ONGOING at most, never a hang, when a group is added while it is removed", async () => {
    const { fleet } = await openNode();
    const add = () => fleet.addConsensusGroup("g", 1, { module: registerModule });
    await add();
    for (let round = 0; round < 20; round++) {
      await fleet.command("g", { write: round });
      await fleet.removeConsensusGroup("g");
      await eventually("the group can be added again", async () => {
        try {
          await add();
          return true;
        } catch (error) {
          expect((error as RaftKVError).code).toBe("CLEANUP_ONGOING");
          return false;
        }
      });
      expect(await fleet.query("g", "read")).toBe("empty");
    }
  });

  it("OVERLOADED, at once, for what exceeds the queue; what was taken is applied once", async () => {
    const { kv } = await openNode();
    const keyspace = await kv.registerKeyspace("k", lengthModule, null, policy);
    // Together more than the 256 MiB that may be under way.
    const argument = new Uint8Array(4 * 1024 * 1024);
    const options = { timeout: 30_000 };
    const calls = Array.from({ length: 100 }, () => keyspace.command("key", argument, options));
    const results = await Promise.allSettled(calls);
    const errors = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason as RaftKVError] : [],
    );
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.length).toBeLessThan(100);
    for (const { code, outcome, action } of errors) {
      expect([code, outcome, action]).toEqual(["OVERLOADED", "not applied", "retry"]);
    }
    expect(await keyspace.query("key", "get")).toBe(results.length - errors.length);
    expect(await keyspace.command("key", new Uint8Array(1))).toBe(101 - errors.length);
  });

  it("INVALID_KEY for a key that is too long, INVALID_ARGUMENT or OVERLOADED for a huge argument", async () => {
    const { kv } = await openNode();
    const keyspace = await kv.registerKeyspace("k", mapModule, null, policy);
    await expectCode(() => keyspace.command("x".repeat(65_536), "unset"), "INVALID_KEY");
    await expectCode(() => keyspace.query(new Uint8Array(65_536), "get"), "INVALID_KEY");
    const large = "x".repeat(4 * 1024 * 1024);
    expect(await keyspace.command("large", { set: large })).toBe("ok");
    expect(await keyspace.query("large", "get")).toBe(large);
    const huge = new Uint8Array(17 * 1024 * 1024);
    const error = await expectCode(
      () => keyspace.command("huge", { set: huge }),
      "DATA_CLONE",
      "INVALID_ARGUMENT",
    );
    expect(error.outcome ?? "not applied").toBe("not applied");
    expect(await keyspace.query("huge", "get")).toBeUndefined();
    expect(await keyspace.command("after", { set: 1 })).toBe("ok");
  });

  it("CLUSTER_MISMATCH for a directory of another cluster, which stays usable", async () => {
    const dataDir = scratchDirectory();
    const first = await openNode({ dataDir, clusterName: "one" });
    await first.close();
    const stranger = newNode({ dataDir, clusterName: "two" });
    await expectCode(() => stranger.fleet.activate("zone"), "CLUSTER_MISMATCH");
    await openNode({ dataDir, clusterName: "one" });
  });

  it("a typed error for a data directory that cannot be one", async () => {
    const file = join(scratchDirectory(), "file");
    writeFileSync(file, "not a directory");
    for (const dataDir of [file, join(file, "below")]) {
      const node = newNode({ dataDir });
      const error = await expectCode(
        () => node.fleet.activate("zone"),
        "STORAGE_FAILED",
        "INVALID_OPTION",
      );
      expect(error.message).toContain(file);
    }
  });
});
