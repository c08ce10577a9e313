/** Splits and merges that somebody asks for: started whatever the statistics, or refused with why. */
import { describe, expect, test } from "vitest";
import { TRANSFERS_AT_ONCE } from "../../ts/limits.ts";
import { Directory } from "./model.ts";

/** A keyspace of so many shards, none of which is busy. */
function withShards(count: number, limits: { maxShards?: number; minShards?: number } = {}) {
  const directory = new Directory();
  directory.open("kv", { maxShards: 16, ...limits });
  for (let shards = 1; shards < count; shards++) {
    const widest = [...directory.shards()].sort(
      (a, b) => b.shard.end - b.shard.start - (a.shard.end - a.shard.start),
    )[0];
    const reply = directory.send({ type: "split", shard: widest?.shard.name as string });
    if (reply.ok === false) throw new Error(reply.message);
    directory.finish(reply.workflow.id);
  }
  return directory;
}

describe("a split that is asked for", () => {
  test("divides a shard that no policy would divide, and is carried out like any other", () => {
    const directory = withShards(1);
    const reply = directory.send({ type: "split", shard: "kv_0" });
    expect(reply).toMatchObject({ ok: true, workflow: { kind: "split", step: "createGroup" } });
    const [workflow] = directory.running();
    // Whoever leads the directory may take it up at once.
    expect(workflow?.leaseUntil).toBeLessThanOrEqual(directory.now);
    directory.finish(workflow?.id as number);
    expect(directory.names("kv")).toEqual(["kv_0", "kv_67108864"]);
  });

  test("is refused with what is in the way", () => {
    const directory = withShards(2, { maxShards: 3 });
    expect(directory.send({ type: "split", shard: "kv_9" })).toMatchObject({
      code: "NO_SUCH_SHARD",
    });
    expect(directory.send({ type: "split", shard: "kv_0" }).ok).toBe(true);
    const before = directory.state;
    expect(directory.send({ type: "split", shard: "kv_0" })).toMatchObject({ code: "SHARD_BUSY" });
    // The running split counts.
    expect(directory.send({ type: "split", shard: "kv_67108864" })).toMatchObject({
      code: "SPLIT_IMPOSSIBLE",
    });
    expect(directory.state).toBe(before);
  });

  test("waits its turn while as many run as may", () => {
    const directory = withShards(TRANSFERS_AT_ONCE + 1, { maxShards: 100 });
    const names = directory.names("kv") ?? [];
    const replies = names.map((shard) => directory.send({ type: "split", shard }));
    expect(replies.slice(0, -1).every(({ ok }) => ok)).toBe(true);
    expect(replies.at(-1)).toMatchObject({ code: "SHARD_BUSY" });
  });
});

describe("a merge that is asked for", () => {
  test("moves a shard into its left neighbour", () => {
    const directory = withShards(2);
    directory.report({ kv_0: 90, kv_67108864: 90 });
    const reply = directory.send({ type: "merge", shard: "kv_67108864" });
    expect(reply).toMatchObject({ ok: true, workflow: { kind: "merge", step: "begin" } });
    for (const { id } of directory.running()) directory.finish(id);
    expect(directory.names("kv")).toEqual(["kv_0"]);
  });

  test("is refused with what is in the way", () => {
    const directory = withShards(3, { minShards: 2 });
    const [first, second, third] = directory.names("kv") as [string, string, string];
    expect(directory.send({ type: "merge", shard: first })).toMatchObject({
      code: "MERGE_IMPOSSIBLE",
    });
    expect(directory.send({ type: "merge", shard: second }).ok).toBe(true);
    expect(directory.send({ type: "merge", shard: second })).toMatchObject({ code: "SHARD_BUSY" });
    // One less would be fewer than minShards.
    expect(directory.send({ type: "merge", shard: third })).toMatchObject({
      code: "MERGE_IMPOSSIBLE",
    });
  });

  test("is refused while the neighbour is busy", () => {
    const directory = withShards(2);
    directory.send({ type: "split", shard: "kv_0" });
    const reply = directory.send({ type: "merge", shard: "kv_67108864" });
    expect(reply).toMatchObject({ code: "SHARD_BUSY" });
  });
});
