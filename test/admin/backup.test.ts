/** Backups of whole nodes and clusters, made while they work, and restored into others. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ClusterTarget } from "../../ts/admin/backup/target.ts";
import type { AdminPorts } from "../../ts/admin/ports.ts";
import { restoreBackup } from "../../ts/backup/restore.ts";
import type { Key, NodeOptions, RaftKVNode } from "../../ts/index.ts";
import { allKnow, startCluster } from "../node/support/cluster.ts";
import { expectCode } from "../node/support/errors.ts";
import { counterModule, mapModule, sequenceModule } from "../node/support/modules.ts";
import { newNode, openNode, QUICK, scratchDirectory } from "../node/support/nodes.ts";
import { inPlace } from "../node/support/placement.ts";
import { eventually } from "../node/support/waiting.ts";

const POLICY = { maxShards: 8, maxKeysPerShard: 100_000 };

function place(): string {
  return join(scratchDirectory(), "backup");
}

async function keysOf({ kv }: RaftKVNode, keyspace: string): Promise<Key[]> {
  const keys: Key[] = [];
  for await (const key of kv.keys(keyspace)) keys.push(key as Key);
  return keys;
}

async function shardsOf({ kv }: RaftKVNode, keyspace: string): Promise<string[]> {
  return kv.reduceKeyspaceShardNames(keyspace, [] as string[], (name, all) => [...all, name]);
}

const cyclic: { name: string; self?: unknown } = { name: "cyclic" };
cyclic.self = cyclic;
const holes: unknown[] = [];
holes[3] = "the first three are holes";
const shared = { part: [1, 2] };
const KINDS: readonly unknown[] = [
  ...[null, true, 0, -0, Number.NaN, 12.5, "", "text", "ä€😀", 12345678901234567890n],
  new Date("2026-11-25T00:00:00Z"),
  new Map<unknown, unknown>([["k", new Set([1, new Map([[1, 2]])])]]),
  [new Uint8Array([1, 2, 3]), new Float64Array([1.5, Number.NaN]), new ArrayBuffer(3)],
  { both: undefined, nested: { deep: [/a+b/gi, new RangeError("too far")] } },
  { first: shared, second: shared },
  holes,
  cyclic,
  "x".repeat(300_000),
];
const KEYS: readonly Key[] = [
  ...["", "text", 0, -1.5, 7n, true, "\0binary", new Uint8Array([0, 255]), ["a", [1, 2n]]],
];

describe("one node", () => {
  test("values and keys of all kinds come back as they were, with their sizes", async () => {
    const from = await openNode();
    await from.kv.registerKeyspace("kinds", mapModule, null, POLICY);
    for (const [at, value] of KINDS.entries()) {
      await from.kv.command("kinds", `kind-${at}`, { set: value });
    }
    for (const key of KEYS) await from.kv.command("kinds", key, { set: key });
    await from.kv.registerKeyspace("empty", counterModule, null, POLICY);
    const directory = place();
    const made = await from.fleet.admin.backup(directory);
    expect(made.keyspaces).toMatchObject([{ name: "empty" }, { name: "kinds" }]);
    const { keys } = made;

    const to = await openNode();
    // The program has the code; the keyspaces are registered as they were.
    await to.kv.bindKeyspace("kinds", mapModule);
    await to.kv.bindKeyspace("empty", counterModule);
    const restored = await to.fleet.admin.restore(directory);
    expect(restored).toMatchObject({ keys, keyspaces: [{ name: "empty", keys: 0 }, { keys }] });
    expect(await to.kv.getKeyspacePolicy("kinds")).toMatchObject(POLICY);
    for (const [at, value] of KINDS.entries()) {
      expect(await to.kv.query("kinds", `kind-${at}`, "get")).toEqual(value);
    }
    for (const key of KEYS) expect(await to.kv.query("kinds", key, "get")).toEqual(key);
    const stored = await from.fleet.admin.get("kinds", "kind-3");
    expect(await to.fleet.admin.get("kinds", "kind-3")).toEqual(stored);
    expect(await keysOf(to, "kinds")).toEqual(await keysOf(from, "kinds"));
  });

  test("while writers run and shards split and merge, each shard is caught at one moment", async () => {
    const from = await openNode(QUICK);
    const { kv, fleet } = from;
    // Each key's value counts its commands: what was acknowledged before has to be there.
    await kv.registerKeyspace("seq", sequenceModule, null, { ...POLICY, minShards: 1 });
    const count = 3_000;
    const acknowledged = new Array<number>(count).fill(0);
    const write = async (at: number) => {
      await kv.command("seq", `key-${at}`, acknowledged[at] as number);
      acknowledged[at] = (acknowledged[at] as number) + 1;
    };
    await Promise.all(acknowledged.map((_, at) => write(at)));
    let running = true;
    const moves = { split: 0, merge: 0 };
    kv.events.on("split", () => moves.split++);
    kv.events.on("merge", () => moves.merge++);
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let at = writer; running; at = (at + 4) % count) await write(at);
    });
    const mover = (async () => {
      while (running) {
        const names = await shardsOf(from, "seq");
        const last = names.at(-1) as string;
        const move = names.length > 3 ? fleet.admin.merge(last) : fleet.admin.split(last);
        await move.catch(() => undefined);
      }
    })();
    const rounds: { directory: string; before: number[]; after: number[] }[] = [];
    for (let round = 0; round < 4; round++) {
      const directory = place();
      const before = [...acknowledged];
      await fleet.admin.backup(directory);
      rounds.push({ directory, before, after: [...acknowledged] });
    }
    running = false;
    await Promise.all([...writers, mover]);
    expect(moves.split).toBeGreaterThan(0);
    expect(moves.merge).toBeGreaterThan(0);
    for (const { directory, before, after } of rounds) {
      const view = await fleet.admin.backupStatus(directory);
      expect(view.keys).toBe(count);
      const to = await openNode();
      await to.kv.openKeyspace("seq", sequenceModule, null, POLICY);
      await to.fleet.admin.restore(directory);
      for (let at = 0; at < count; at++) {
        const value = await to.kv.query("seq", `key-${at}`, "get");
        const { next, firstWrong } = value as { next: number; firstWrong: number | null };
        expect(firstWrong).toBeNull();
        expect(next).toBeGreaterThanOrEqual(before[at] as number);
        // One command of a writer may be under way when its acknowledgement is looked at.
        expect(next).toBeLessThanOrEqual((after[at] as number) + 1);
      }
      await to.close();
    }
  });

  test("a restore that was interrupted is run again, also while shards split", async () => {
    const from = await openNode();
    await from.kv.registerKeyspace("kv", mapModule, null, POLICY);
    for (let at = 0; at < 2_000; at++) {
      const set = { at, text: "x".repeat(500) };
      await from.kv.command("kv", at, { set });
    }
    const directory = place();
    await from.fleet.admin.backup(directory);
    const to = await openNode(QUICK);
    await to.kv.openKeyspace("kv", mapModule, null, { maxShards: 16, maxKeysPerShard: 200 });
    const ending = new AbortController();
    const stopped = to.fleet.admin.restore(directory, {
      signal: ending.signal,
      onProgress: ({ step, done }) => {
        if (step === "place" && done > 0.3) ending.abort();
      },
    });
    await expectCode(() => stopped, "ABORTED");
    const some = (await keysOf(to, "kv")).length;
    expect(some).toBeGreaterThan(0);
    expect(some).toBeLessThan(2_000);
    const { keyspaces } = await to.fleet.admin.restore(directory);
    const [{ placed, equal, overwritten } = { placed: 0, equal: 0, overwritten: 0 }] = keyspaces;
    expect([placed + equal, overwritten]).toEqual([2_000, 0]);
    expect(equal).toBeGreaterThanOrEqual(some);
    for (let at = 0; at < 2_000; at++) {
      expect(await to.kv.query("kv", at, "get")).toEqual({ at, text: "x".repeat(500) });
    }
    await eventually("a split", async () => (await shardsOf(to, "kv")).length > 1);
  });

  test("entries whose shard was split unknown to the sender are sent again, to their new owner", async () => {
    const from = await openNode();
    await from.kv.registerKeyspace("kv", counterModule, null, POLICY);
    for (let at = 0; at < 300; at++) await from.kv.command("kv", at, "add");
    const directory = place();
    await from.fleet.admin.backup(directory);
    const to = await openNode();
    await to.kv.openKeyspace("kv", counterModule, null, POLICY);
    const { lifecycle } = to.fleet as unknown as { lifecycle: { adminPorts(): AdminPorts } };
    const ports = lifecycle.adminPorts();
    const before = ports.directory();
    await to.fleet.admin.split("kv_0");
    await to.fleet.admin.split("kv_67108864");
    // What a node knows may be behind for a moment: here it is until entries were sent once.
    let looks = 0;
    const late: AdminPorts = Object.create(ports, {
      directory: { value: () => (looks++ < 3 ? before : ports.directory()) },
    });
    await restoreBackup(directory, new ClusterTarget(late));
    for (let at = 0; at < 300; at++) expect(await to.kv.query("kv", at, "get")).toBe(1);
    expect(looks).toBeGreaterThan(3);
  });

  test("a key that has another value is left alone, unless it is to be overwritten", async () => {
    const node = await openNode();
    await node.kv.registerKeyspace("kv", counterModule, null, POLICY);
    for (let at = 0; at < 100; at++) await node.kv.command("kv", `key-${at}`, "add");
    const directory = place();
    await node.fleet.admin.backup(directory);
    await node.kv.command("kv", "key-42", "add");
    await node.kv.command("kv", "key-43", "remove");
    const error = await expectCode(() => node.fleet.admin.restore(directory), "RESTORE_CONFLICT");
    expect(error).toMatchObject({ keyspace: "kv", action: "fix" });
    expect(error.message).toContain('"key-42"');
    expect(await node.kv.query("kv", "key-42", "get")).toBe(2);
    const { keyspaces } = await node.fleet.admin.restore(directory, { overwrite: true });
    expect(keyspaces).toEqual([{ name: "kv", keys: 100, placed: 2, equal: 98, overwritten: 1 }]);
    expect(await node.kv.query("kv", "key-42", "get")).toBe(1);
    expect(await node.kv.query("kv", "key-43", "get")).toBe(1);
  });

  test("what is damaged, or has no code, is refused before anything is placed", async () => {
    const from = await openNode();
    await from.kv.registerKeyspace("kv", counterModule, null, POLICY);
    for (let at = 0; at < 50; at++) await from.kv.command("kv", at, "add");
    const directory = place();
    const { keyspaces } = await from.fleet.admin.backup(directory);
    const to = await openNode();
    const { admin } = to.fleet;
    await expectCode(() => admin.restore(directory), "MODULE_NOT_BOUND");
    await expectCode(() => admin.restore(directory, { keyspaces: ["kw"] }), "NO_SUCH_KEYSPACE");
    await to.kv.openKeyspace("kv", counterModule, null, POLICY);
    const file = join(directory, keyspaces[0]?.file as string);
    const bytes = readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 30) ^ 1, bytes.length - 30);
    writeFileSync(file, bytes);
    expect((await expectCode(() => admin.restore(directory), "BACKUP_DAMAGED")).message).toContain(
      file,
    );
    // Looking at a backup needs no cluster.
    await expectCode(() => newNode().fleet.admin.backupStatus(directory), "BACKUP_DAMAGED");
    expect(await keysOf(to, "kv")).toEqual([]);
  });

  test("wrong calls are refused by their code", async () => {
    const { fleet } = await openNode();
    const { admin } = fleet;
    const directory = place();
    const odd = (options: unknown) => () => admin.restore(directory, options as object);
    await expectCode(() => admin.backup(""), "INVALID_ARGUMENT");
    await expectCode(() => admin.backup(directory, { keyspaces: ["none"] }), "NO_SUCH_KEYSPACE");
    await expectCode(odd({ overwrite: 1 }), "INVALID_ARGUMENT");
    await expectCode(odd({ keyspaces: "kv" }), "INVALID_ARGUMENT");
    await expectCode(odd({ signal: {} }), "INVALID_ARGUMENT");
    await expectCode(odd({ onProgress: 1 }), "INVALID_ARGUMENT");
    await expectCode(odd(null), "INVALID_ARGUMENT");
    await expectCode(odd({}), "BACKUP_DAMAGED");
    await expectCode(() => newNode().fleet.admin.backup(directory), "NOT_ACTIVE");
    await expectCode(() => admin.recover({} as never), "INVALID_OPTION");
  });
});

/** A cluster with the keyspace "counts"; its code is on the first `bound` of its nodes. */
async function cluster(count: number, bound: number, options?: NodeOptions) {
  const { nodes } = await startCluster(count, options);
  await allKnow(nodes, count);
  for (const node of nodes) await node.kv.init();
  for (const node of nodes.slice(0, bound)) {
    await node.kv.openKeyspace("counts", counterModule, null, { ...POLICY, minShards: 4 });
  }
  return nodes as [RaftKVNode, ...RaftKVNode[]];
}

describe("several nodes", () => {
  test("a backup of three through one without replicas goes into one, and from there into three", async () => {
    const nodes = await cluster(3, 2, QUICK);
    const [first, , third] = nodes;
    for (let at = 0; at < 2_000; at++) void first.kv.command("counts", at, "add");
    await first.kv.command("counts", "last", "add");
    for (const shard of ["counts_0", "counts_0", "counts_67108864"]) {
      await first.fleet.admin.split(shard);
    }
    const directory = place();
    // The third node has no code of the keyspace, so every shard is read over a call.
    const made = await (third as RaftKVNode).fleet.admin.backup(directory);
    expect(made.keyspaces[0]?.ranges).toHaveLength(4);
    expect(made.keys).toBe(2_001);
    const names = await Promise.all(nodes.slice(0, 2).map((node) => node.fleet.nodeName()));
    for (const { node } of made.keyspaces[0]?.ranges ?? []) expect(names).toContain(node);

    const single = await openNode();
    await single.kv.openKeyspace("counts", counterModule, null, POLICY);
    await single.fleet.admin.restore(directory);
    const keys = await keysOf(single, "counts");
    expect(new Set(keys)).toEqual(new Set(await keysOf(first, "counts")));

    const back = place();
    await single.fleet.admin.backup(back);
    const again = await cluster(3, 2, QUICK);
    await again[0].fleet.admin.split("counts_0");
    // The entries are sent on to the leaders of their shards.
    const { keyspaces } = await (again[2] as RaftKVNode).fleet.admin.restore(back);
    expect(keyspaces).toMatchObject([{ name: "counts", placed: 2_001, equal: 0 }]);
    for (const key of keys) expect(await again[1]?.kv.query("counts", key, "get")).toBe(1);
    expect(await again[0].fleet.admin.verify()).toMatchObject({ verified: true });
  });

  test("when the node that leads a shard goes away, backup and restore go on with the next", async () => {
    const nodes = await cluster(3, 3, QUICK);
    const count = 20_000;
    const calls: Promise<unknown>[] = [];
    for (let at = 0; at < count; at++) {
      calls.push(nodes[0].kv.command("counts", `a-key-with-some-length-${at}`, "add"));
    }
    await Promise.all(calls);
    await inPlace(nodes);
    const names = await Promise.all(nodes.map((node) => node.fleet.nodeName()));
    const leader = await nodes[0].fleet.whereisLeader("counts_0");
    const led = nodes.find((_, at) => names[at] === leader) as RaftKVNode;
    const [asked, other] = nodes.filter((node) => node !== led) as [RaftKVNode, RaftKVNode];
    const directory = place();
    let closing: Promise<void> | undefined;
    const onProgress = () => {
      closing ??= led.close();
    };
    const { keys } = await asked.fleet.admin.backup(directory, { onProgress });
    expect(keys).toBe(count);
    await closing;
    for (let at = 0; at < count; at += 100) {
      await other.kv.command("counts", `a-key-with-some-length-${at}`, "remove");
    }
    const { keyspaces } = await other.fleet.admin.restore(directory);
    expect(keyspaces).toMatchObject([{ placed: count / 100, equal: count - count / 100 }]);
  });
});
