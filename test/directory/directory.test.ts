import { describe, expect, test } from "vitest";
import { nextStartAt } from "../../ts/directory/plan.ts";
import { HASH_SPACE } from "../../ts/directory/state.ts";
import { TRANSFERS_AT_ONCE } from "../../ts/limits.ts";
import { Directory, INELIGIBLE_MS } from "./model.ts";

const HALF = HASH_SPACE / 2;
const QUARTER = HALF + HASH_SPACE / 4;

/** A keyspace with these shares of the keys, got by splits at once after one another. */
function withShards(keys: Record<string, number>, policy = {}): Directory {
  const directory = new Directory();
  directory.open("kv", policy);
  for (let round = 0; directory.names("kv")?.length !== Object.keys(keys).length; round++) {
    if (round > 20) throw new Error("the shards that the test wants don't come about");
    const missing = Object.keys(keys).filter((name) => !directory.names("kv")?.includes(name));
    for (const name of directory.names("kv") ?? []) {
      const shard = directory.shards().find((known) => known.shard.name === name)!.shard;
      const middle = (shard.start + shard.end) / 2;
      if (!missing.includes(`kv_${middle}`)) continue;
      directory.report({ [name]: 101 });
    }
    for (const workflow of directory.plan()) directory.finish(workflow.id);
    directory.now += INELIGIBLE_MS;
  }
  directory.report(keys);
  return directory;
}

describe("register and deregister", () => {
  test("a keyspace starts with one shard that owns the whole hash range", () => {
    const directory = new Directory();
    expect(directory.register("kv")).toEqual({ ok: true, number: 1 });
    expect(directory.names("kv")).toEqual([]);
    directory.finish(1);
    expect(directory.shards()[0]?.shard).toMatchObject({ name: "kv_0", start: 0, end: HASH_SPACE });
    expect(directory.running()).toEqual([]);
  });

  test("the same request again gives the same answer, another is refused", () => {
    const directory = new Directory();
    const first = directory.register("kv");
    expect(directory.register("kv")).toEqual(first);
    expect(directory.running().length).toBe(1);
    expect(directory.register("kv", {}, "other")).toMatchObject({ code: "ALREADY_REGISTERED" });
  });

  test("a policy that is not valid is refused", () => {
    const directory = new Directory();
    const policy = { minShards: 9, maxShards: 8 };
    expect(directory.register("kv", policy)).toMatchObject({ code: "INVALID_POLICY" });
    directory.open("kv");
    const bad = { ...directory.state.keyspaces.get("kv")!.policy, ...policy };
    expect(directory.send({ type: "setPolicy", name: "kv", policy: bad })).toMatchObject({
      code: "INVALID_POLICY",
    });
  });

  test("the entry goes at once, the groups by a workflow", () => {
    const directory = withShards({ kv_0: 10, [`kv_${HALF}`]: 10 }, { mergeThresholdRatio: 0 });
    expect(directory.send({ type: "deregister", name: "kv" })).toMatchObject({ ok: true });
    expect(directory.state.keyspaces.has("kv")).toBe(false);
    expect(directory.running()[0]).toMatchObject({
      kind: "deregister",
      groups: [{ name: "kv_0" }, { name: `kv_${HALF}` }],
    });
    expect(directory.send({ type: "deregister", name: "kv" })).toMatchObject({
      code: "NO_SUCH_KEYSPACE",
    });
    expect(directory.register("kv", {}, "again")).toEqual({ ok: true, number: 2 });
  });

  test("deregistration ends a split in any of its steps, and removes its group as well", () => {
    for (const steps of [0, 1, 2, 3, 4, 5]) {
      const directory = new Directory();
      directory.open("kv");
      directory.report({ kv_0: 101 });
      const [split] = directory.plan();
      for (let done = 0; done < steps; done++) directory.step(split!.id);
      directory.send({ type: "deregister", name: "kv" });
      const groups = directory.running().flatMap((w) => (w.kind === "deregister" ? w.groups : []));
      expect(groups.map((group) => group.name).sort()).toEqual(["kv_0", `kv_${HALF}`]);
      expect(directory.running().length).toBe(1);
      // The executor that was at it reports its step late.
      directory.advance(split!.id, "handOver");
      directory.advance(split!.id, "createGroup");
      expect(directory.running().length).toBe(1);
    }
  });

  test("a first group that can't be made takes the keyspace with it", () => {
    const directory = new Directory();
    directory.register("kv");
    const fail = { type: "fail", workflow: 1, step: "createGroup", reason: "taken" } as const;
    directory.send(fail);
    expect(directory.state.keyspaces.has("kv")).toBe(false);
    expect(directory.running()).toMatchObject([{ kind: "deregister" }]);
  });
});

describe("splits and merges", () => {
  test("a shard above a threshold is split at the middle of its range", () => {
    const directory = new Directory();
    directory.open("kv");
    directory.report({ kv_0: 100 });
    expect(directory.plan()).toEqual([]);
    directory.report({ kv_0: 101 });
    const [split] = directory.plan();
    expect(split).toMatchObject({ kind: "split", step: "createGroup", start: HALF });
    directory.finish(split!.id);
    expect(directory.names("kv")).toEqual(["kv_0", `kv_${HALF}`]);
    directory.now += INELIGIBLE_MS;
    directory.report({ [`kv_${HALF}`]: 101 });
    directory.finish(directory.plan()[0]!.id);
    expect(directory.names("kv")).toEqual(["kv_0", `kv_${HALF}`, `kv_${QUARTER}`]);
  });

  test("a shard with one key is never split", () => {
    const directory = new Directory();
    directory.open("kv", { maxKeysPerShard: undefined, maxLoadPerShard: 10 });
    const { group, start, end, name } = directory.shards()[0]!.shard;
    const shard = { keyspace: "kv", name, group, start, end, size: 0, load: 1_000 };
    directory.send({ type: "report", shards: [{ ...shard, keys: 1 }] });
    expect(directory.plan()).toEqual([]);
    directory.send({ type: "report", shards: [{ ...shard, keys: 2 }] });
    expect(directory.plan().length).toBe(1);
  });

  test("without a threshold nothing is split or merged", () => {
    const directory = withShards({ kv_0: 10, [`kv_${HALF}`]: 10 });
    const policy = { ...directory.state.keyspaces.get("kv")!.policy, maxKeysPerShard: undefined };
    directory.send({ type: "setPolicy", name: "kv", policy });
    expect(directory.plan()).toEqual([]);
    expect(nextStartAt(directory.state, INELIGIBLE_MS)).toBeNull();
  });

  test("two neighbours are merged when they are small together", () => {
    const directory = withShards({ kv_0: 25, [`kv_${HALF}`]: 25 });
    expect(directory.plan()).toEqual([]);
    directory.report({ kv_0: 25, [`kv_${HALF}`]: 24 });
    const [merge] = directory.plan();
    expect(merge).toMatchObject({ kind: "merge", sender: { name: `kv_${HALF}` } });
    directory.finish(merge!.id);
    expect(directory.names("kv")).toEqual(["kv_0"]);
  });

  test("a replaced policy decides at once", () => {
    const directory = new Directory();
    directory.open("kv");
    directory.report({ kv_0: 101 });
    const policy = { ...directory.state.keyspaces.get("kv")!.policy, maxKeysPerShard: 200 };
    directory.send({ type: "setPolicy", name: "kv", policy });
    expect(directory.plan()).toEqual([]);
  });

  test("a shard that came of a split and still has too many keys is split again at once", () => {
    const directory = new Directory();
    directory.open("kv");
    directory.report({ kv_0: 300 });
    directory.finish(directory.plan()[0]!.id);
    directory.report({ kv_0: 150, [`kv_${HALF}`]: 150 });
    expect(nextStartAt(directory.state, INELIGIBLE_MS)).toBe(directory.now);
    expect(directory.plan().length).toBe(2);
  });

  test("a shard that was just split waits for its period if only its load is too high", () => {
    const directory = new Directory();
    directory.open("kv", { maxLoadPerShard: 10 });
    directory.report({ kv_0: 101 });
    directory.finish(directory.plan()[0]!.id);
    const changedAt = directory.now;
    directory.now += 10;
    const figures = { ...directory.shards()[0]!.shard, keyspace: "kv", keys: 60, size: 0 };
    directory.send({ type: "report", shards: [{ ...figures, load: 11 }] });
    expect(directory.plan()).toEqual([]);
    expect(nextStartAt(directory.state, INELIGIBLE_MS)).toBe(changedAt + INELIGIBLE_MS);
    directory.now = changedAt + INELIGIBLE_MS;
    expect(directory.plan()).toMatchObject([{ kind: "split", sender: { name: "kv_0" } }]);
  });

  test("shards that were just split are not merged before their period is over", () => {
    const directory = new Directory();
    directory.open("kv");
    directory.report({ kv_0: 101 });
    directory.finish(directory.plan()[0]!.id);
    const changedAt = directory.now;
    directory.report({ kv_0: 1, [`kv_${HALF}`]: 1 });
    expect(directory.plan()).toEqual([]);
    expect(nextStartAt(directory.state, INELIGIBLE_MS)).toBe(changedAt + INELIGIBLE_MS);
  });

  test("a shard that was just merged is not split before its period is over", () => {
    const directory = withShards({ kv_0: 10, [`kv_${HALF}`]: 10 });
    directory.finish(directory.plan()[0]!.id);
    const changedAt = directory.now;
    directory.report({ kv_0: 101 });
    expect(directory.plan()).toEqual([]);
    expect(nextStartAt(directory.state, INELIGIBLE_MS)).toBe(changedAt + INELIGIBLE_MS);
  });

  test("a split that was given up is tried again after the period", () => {
    const directory = new Directory();
    directory.open("kv");
    directory.report({ kv_0: 300 });
    directory.finish(directory.plan()[0]!.id);
    directory.report({ kv_0: 150 });
    const [split] = directory.plan();
    directory.send({ type: "fail", workflow: split!.id, step: "createGroup", reason: "no" });
    directory.finish(split!.id);
    const changedAt = directory.now;
    directory.report({ kv_0: 150 });
    expect(directory.plan()).toEqual([]);
    expect(nextStartAt(directory.state, INELIGIBLE_MS)).toBe(changedAt + INELIGIBLE_MS);
  });

  test("figures of another range than the present one are not taken", () => {
    const directory = new Directory();
    directory.open("kv");
    const late = { ...directory.shards()[0]!.shard, keyspace: "kv", keys: 101, size: 0, load: 0 };
    directory.report({ kv_0: 101 });
    directory.finish(directory.plan()[0]!.id);
    expect(directory.send({ type: "report", shards: [late] })).toMatchObject({ taken: [] });
    expect(directory.report({ kv_0: 50 }).taken).toEqual(["kv_0"]);
  });

  test("maxShards counts the splits that are under way", () => {
    const directory = withShards({ kv_0: 60, [`kv_${HALF}`]: 60 }, { maxShards: 3 });
    directory.report({ kv_0: 300, [`kv_${HALF}`]: 200 });
    expect(directory.plan()).toMatchObject([{ kind: "split", sender: { name: "kv_0" } }]);
  });

  test("minShards counts the merges that are under way", () => {
    const keys = { kv_0: 0, [`kv_${HALF / 2}`]: 0, [`kv_${HALF}`]: 0, [`kv_${QUARTER}`]: 0 };
    expect(withShards(keys, { minShards: 3 }).plan().length).toBe(1);
    expect(withShards(keys, { minShards: 1 }).plan().length).toBe(2);
  });

  test("workflows on different shards run side by side, up to the limit", () => {
    const directory = new Directory();
    for (let at = 0; at < TRANSFERS_AT_ONCE + 2; at++) {
      directory.open(`k${at}`);
      directory.report({ [`k${at}_0`]: 101 + at });
    }
    const started = directory.plan();
    expect(started.length).toBe(TRANSFERS_AT_ONCE);
    expect(nextStartAt(directory.state, INELIGIBLE_MS)).toBeNull();
    // The hottest were first.
    expect(started.map((w) => w.keyspace)).not.toContain("k0");
    directory.finish(started[0]!.id);
    expect(directory.plan().length).toBe(1);
  });

  test("a split can be given up until keys are handed over", () => {
    for (const [steps, given] of [
      [0, true],
      [1, true],
      [2, true],
      [3, false],
      [4, false],
    ] as const) {
      const directory = new Directory();
      directory.open("kv");
      directory.report({ kv_0: 101 });
      const { id } = directory.plan()[0]!;
      for (let done = 0; done < steps; done++) directory.step(id);
      const { step } = directory.state.workflows.get(id)!;
      const { workflow } = directory.send({ type: "fail", workflow: id, step, reason: "no" });
      expect(workflow?.step === "abort").toBe(given);
      directory.finish(id);
      expect(directory.names("kv")?.length).toBe(given ? 1 : 2);
      expect(directory.shards().every(({ shard }) => shard.lock === null)).toBe(true);
    }
  });

  test("the intent to hand over is taken back only on the sender's word", () => {
    const directory = new Directory();
    directory.open("kv");
    directory.report({ kv_0: 101 });
    const { id } = directory.plan()[0]!;
    for (let done = 0; done < 3; done++) directory.step(id);
    const fail = { type: "fail", workflow: id, step: "handOver", reason: "no" } as const;
    expect(directory.send(fail).workflow?.step).toBe("handOver");
    expect(directory.send({ ...fail, senderAborted: true }).workflow?.step).toBe("abort");
  });
});

describe("ownership", () => {
  test("another node takes a workflow over when the lease is over", () => {
    const directory = new Directory();
    directory.register("kv");
    expect(directory.send({ type: "claim", workflow: 1 })).toMatchObject({ mine: true });
    directory.node = 2;
    expect(directory.send({ type: "claim", workflow: 1 })).toMatchObject({ mine: false });
    directory.now += 30_000;
    expect(directory.send({ type: "claim", workflow: 1 })).toMatchObject({ mine: true });
    directory.node = 1;
    expect(directory.send({ type: "claim", workflow: 1 })).toMatchObject({ mine: false });
  });

  test("whoever leads the directory takes up what another node asked for, at once", () => {
    const directory = new Directory();
    directory.register("kv");
    directory.node = 2;
    expect(directory.send({ type: "claim", workflow: 1 })).toMatchObject({ mine: true });
  });

  test("a new leader of the directory takes over at once, and nobody from it", () => {
    const directory = new Directory();
    directory.register("kv");
    expect(directory.send({ type: "claim", workflow: 1 })).toMatchObject({ mine: true });
    directory.node = 2;
    const claim = { type: "claim", workflow: 1, leads: true } as const;
    expect(directory.send(claim)).toMatchObject({ mine: true });
    directory.node = 1;
    expect(directory.send({ type: "claim", workflow: 1 })).toMatchObject({ mine: false });
  });

  test("a workflow in which keys wait is taken over at once", () => {
    const directory = new Directory();
    directory.open("kv");
    directory.report({ kv_0: 101 });
    const { id } = directory.plan()[0]!;
    for (let done = 0; done < 3; done++) directory.step(id);
    directory.node = 2;
    expect(directory.send({ type: "claim", workflow: id })).toMatchObject({ mine: true });
  });
});
