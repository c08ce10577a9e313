/** The client over a seam: what it hands to the engine, and what answers make of it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, NO_KEY } from "../../ts/client/client.ts";
import { groupRoute } from "../../ts/client/outbox.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { REFUSED } from "../../ts/host/host.ts";
import { Refusal } from "../../ts/machine/machine.ts";
import type { NativeEngine } from "../../ts/native/engine.ts";
import { FLAG_RETRY, RECORD } from "../../ts/native/frames.ts";

const [KEYSPACE, OTHER] = [3, 4];
const GROUP = 70;

interface Sent {
  readonly request: number;
  readonly route: number;
  readonly retry: boolean;
}

let sent: Sent[];
let groups: Map<number, number>;
let client: Client;

/** A key's hash is the last byte of its code. */
const hashOf = (key: Uint8Array) => key[key.length - 1] as number;

beforeEach(() => {
  sent = [];
  groups = new Map([
    [KEYSPACE, GROUP],
    [OTHER, GROUP + 1],
  ]);
  const engine = {
    submit: (bytes: Uint8Array, length: number, acknowledged: number) => {
      const words = new DataView(bytes.buffer, bytes.byteOffset, length);
      for (let at = 0; at < length; at += words.getUint32(at, true)) {
        const word = (index: number) => words.getUint32(at + index * 4, true);
        sent.push({
          request: acknowledged + word(RECORD.request),
          route: word(RECORD.route),
          retry: (word(RECORD.key) & FLAG_RETRY) !== 0,
        });
      }
    },
    hashKey: (_keyspace: number, key: Uint8Array) => ({ hash: hashOf(key), fingerprint: 0 }),
    findGroup: (keyspace: number) => groups.get(keyspace) ?? null,
  };
  client = new Client(engine as unknown as NativeEngine, {
    target: () => ({}),
    storageError: () => undefined,
    absence: () => undefined,
  });
});

afterEach(() => client.close(new RaftKVError("CLOSED", "over")));

const settled = (promise: Promise<unknown>) => {
  const outcome: unknown[] = [];
  promise.then(
    (value) => outcome.push(value),
    (error: unknown) => outcome.push(error),
  );
  return outcome;
};
const requests = () => sent.map(({ request }) => request);
const tick = () => new Promise((resolve) => setImmediate(resolve));

describe("a request that was sent twice", () => {
  const twice = async () => {
    const first = settled(client.command(groupRoute(GROUP), NO_KEY, "first"));
    await tick();
    client.replicaRemoved(GROUP);
    await tick();
    expect(sent.map(({ request, retry }) => [request, retry])).toEqual([
      [1, false],
      [1, true],
    ]);
    return first;
  };

  it.each([
    ["no leader", () => client.refused(1, REFUSED.notLeader, false)],
    ["no group", () => client.refused(1, REFUSED.unknownGroup, true)],
    ["no key yet", () => client.settled(1, new Refusal("NOT_YET", "later"))],
    ["moved", () => client.settled(1, new Refusal("MOVED", "there", GROUP + 5))],
    ["late", () => client.settled(1, new Refusal("STALE", "late"))],
  ])("does not wait for itself when both are answered: %s", async (_name, again) => {
    const first = await twice();
    client.refused(1, REFUSED.notLeader, false);
    again();
    const second = settled(client.command(groupRoute(GROUP), NO_KEY, "second"));
    client.leaderAppeared();
    await tick();
    expect(requests().slice(2)).toEqual([1, 2]);
    client.settled(1, "one");
    client.settled(2, "two");
    await tick();
    expect([first, second]).toEqual([["one"], ["two"]]);
  });

  it("lets later ones go when the answer of one comes while the other waits", async () => {
    const first = await twice();
    client.refused(1, REFUSED.notLeader, true);
    client.refused(1, REFUSED.notLeader, true);
    const second = settled(client.command(groupRoute(GROUP), NO_KEY, "second"));
    client.settled(1, "one");
    await tick();
    expect(requests().slice(2)).toEqual([2]);
    client.settled(2, "two");
    await tick();
    expect([first, second]).toEqual([["one"], ["two"]]);
  });
});

describe("when routes change", () => {
  it("only what is under way on keys that move holds later ones back", async () => {
    const calls = [
      client.command(KEYSPACE, "a", 1),
      client.command(KEYSPACE, "b", 1),
      client.command(OTHER, "a", 1),
    ].map(settled);
    await tick();
    client.routesChanging(KEYSPACE, (hash) => hash === "a".charCodeAt(0));
    client.command(KEYSPACE, "a", 2).catch(() => undefined);
    client.command(KEYSPACE, "b", 2).catch(() => undefined);
    client.command(OTHER, "a", 2).catch(() => undefined);
    await tick();
    expect(requests()).toEqual([1, 2, 3, 5, 6]);
    client.settled(1, "done");
    await tick();
    expect(requests()).toEqual([1, 2, 3, 5, 6, 4]);
    expect(calls).toEqual([["done"], [], []]);
  });

  it("a later command that waits to be sent again does not pass what is under way", async () => {
    client.command(KEYSPACE, "a", 1).catch(() => undefined);
    client.command(KEYSPACE, "a", 2).catch(() => undefined);
    await tick();
    client.refused(2, REFUSED.notLeader, false);
    client.routesChanging(KEYSPACE, () => true);
    client.routesChanged();
    client.leaderAppeared();
    client.command(KEYSPACE, "a", 3).catch(() => undefined);
    await tick();
    expect(requests()).toEqual([1, 2]);
    client.settled(1, "done");
    await tick();
    expect(requests()).toEqual([1, 2, 2, 3]);
  });

  it("one that was under way and is refused does not pass an earlier one", async () => {
    client.command(KEYSPACE, "a", 1).catch(() => undefined);
    client.command(KEYSPACE, "a", 2).catch(() => undefined);
    await tick();
    client.routesChanging(KEYSPACE, () => true);
    client.routesChanged();
    client.settled(2, new Refusal("MOVED", "there", GROUP + 5));
    client.leaderAppeared();
    client.command(KEYSPACE, "a", 3).catch(() => undefined);
    await tick();
    expect(requests()).toEqual([1, 2]);
    client.settled(1, "done");
    await tick();
    expect(requests()).toEqual([1, 2, 2]);
    // It goes by another route.
    client.settled(2, "done");
    await tick();
    expect(requests()).toEqual([1, 2, 2, 3]);
  });

  it("one that waited goes before a later one that is under way still", async () => {
    for (const at of [1, 2, 3]) client.command(KEYSPACE, "a", at).catch(() => undefined);
    await tick();
    client.routesChanging(KEYSPACE, () => true);
    client.routesChanged();
    client.settled(2, new Refusal("MOVED", "there", GROUP + 5));
    client.settled(1, "done");
    await tick();
    expect(requests()).toEqual([1, 2, 3, 2]);
    client.refused(3, REFUSED.notLeader, true);
    client.leaderAppeared();
    await tick();
    expect(requests()).toEqual([1, 2, 3, 2]);
    client.settled(2, "done");
    await tick();
    expect(requests()).toEqual([1, 2, 3, 2, 3]);
  });

  it("one whose group's replica is gone does not pass an earlier one that waits", async () => {
    client.command(KEYSPACE, "a", 1).catch(() => undefined);
    client.command(KEYSPACE, "a", 2).catch(() => undefined);
    await tick();
    client.refused(1, REFUSED.notLeader, true);
    client.replicaRemoved(GROUP);
    await tick();
    expect(requests()).toEqual([1, 2]);
    client.leaderAppeared();
    await tick();
    expect(requests()).toEqual([1, 2, 1, 2]);
  });

  it("what went by the old ones is asked for again once their group's replica is gone", async () => {
    client.command(KEYSPACE, "a", 1).catch(() => undefined);
    client.command(OTHER, "a", 1).catch(() => undefined);
    await tick();
    client.routesChanging(KEYSPACE, () => true);
    groups.set(KEYSPACE, GROUP + 9);
    client.routesChanged();
    client.replicaRemoved(GROUP);
    await tick();
    expect(sent.slice(2)).toEqual([{ request: 1, route: KEYSPACE, retry: true }]);
  });
});

describe("a request that waits behind another on its key", () => {
  const MOVED_TO = GROUP + 5;

  /** Both were sent to the old shard; the first got no answer there, the second was sent on. */
  const firstLost = async () => {
    void client.command(KEYSPACE, "a", "first").catch(() => undefined);
    await tick();
    void client.command(KEYSPACE, "a", "second").catch(() => undefined);
    await tick();
    client.refused(1, REFUSED.notLeader, true);
    client.settled(2, new Refusal("MOVED", "there", MOVED_TO));
    sent = [];
  };

  it("does not go by another route before the other is settled", async () => {
    await firstLost();
    client.leaderAppeared();
    await tick();
    expect(sent.map(({ request, route }) => [request, route])).toEqual([[1, KEYSPACE]]);
    client.settled(1, "done");
    await tick();
    expect(sent.map(({ request, route }) => [request, route])).toEqual([
      [1, KEYSPACE],
      [2, groupRoute(MOVED_TO)],
    ]);
  });

  it("goes by the new routes with the other when they change meanwhile", async () => {
    void client.command(KEYSPACE, "a", "first").catch(() => undefined);
    await tick();
    client.settled(1, new Refusal("MOVED", "there", MOVED_TO));
    await tick();
    client.refused(1, REFUSED.notLeader, true);
    client.routesChanging(KEYSPACE, () => true);
    groups.set(KEYSPACE, MOVED_TO + 1);
    sent = [];
    client.leaderAppeared();
    await tick();
    void client.command(KEYSPACE, "a", "second").catch(() => undefined);
    await tick();
    expect(sent.map(({ request, route }) => [request, route])).toEqual([
      [1, KEYSPACE],
      [2, KEYSPACE],
    ]);
  });
});
