/** Read rounds, and the events about other nodes. */
import { expect, test } from "vitest";
import type { HostCall, HostListener } from "../../ts/host/host.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { EVENT_TYPE, LEASE_FOREVER } from "../../ts/native/frames.ts";
import { entryOf, event, events, hostOf, long } from "./support.ts";

const GROUP = 9;
const module = {
  init: () => 0,
  command: (_n: number, arg: unknown): [unknown, number] => [arg, 0],
  query: () => 0,
};

function leading() {
  const made = hostOf(1);
  const replica = made.host.attach(GROUP, "group", () => new DataMachine(module));
  made.host.receive(events.leader(GROUP, 1), false);
  made.host.receive(events.leaderReady(GROUP), false);
  return { ...made, replica };
}

/** Which of these promises are settled, and how. */
async function states(promises: Promise<void>[]): Promise<string[]> {
  const open = Symbol("open");
  await new Promise((resolve) => setImmediate(resolve));
  return Promise.all(
    promises.map((promise) =>
      Promise.race([promise, Promise.resolve(open)]).then(
        (value) => (value === open ? "waits" : "ready"),
        () => "failed",
      ),
    ),
  );
}

test("reads that began before a round was sent share it, later ones share the next", async () => {
  const { host, seam, replica } = leading();
  const first = [replica.readable(), replica.readable()];
  await states(first);
  expect(seam.readsAsked).toHaveLength(1);
  const later = [replica.readable(), replica.readable()];
  expect(await states([...first, ...later])).toEqual(["waits", "waits", "waits", "waits"]);
  expect(seam.readsAsked).toHaveLength(1);
  host.receive(events.readReady(GROUP, seam.readsAsked[0]!.number), false);
  expect(await states([...first, ...later])).toEqual(["ready", "ready", "waits", "waits"]);
  expect(seam.readsAsked).toHaveLength(2);
  // An answer to the round before answers nothing.
  host.receive(events.readReady(GROUP, seam.readsAsked[0]!.number), false);
  expect(await states(later)).toEqual(["waits", "waits"]);
  host.receive(events.readReady(GROUP, seam.readsAsked[1]!.number), false);
  expect(await states(later)).toEqual(["ready", "ready"]);
});

test("a round that nobody confirmed fails its reads, and the next one is sent", async () => {
  const { seam, replica } = leading();
  const first = replica.readable();
  await states([first]);
  const later = replica.readable();
  seam.readsAsked[0]!.fail(new Error("no quorum"));
  expect(await states([first, later])).toEqual(["failed", "waits"]);
  expect(seam.readsAsked).toHaveLength(2);
});

test("under a lease a read waits for entries that other nodes may answer callers from", async () => {
  const { host, seam, replica } = leading();
  replica.leaseSlot = 2;
  const index = 3 * 2 ** 32 + 7;
  host.receive(events.passedBy(GROUP, index), false);
  Atomics.store(seam.slots, 2, LEASE_FOREVER);
  Atomics.store(seam.slots, seam.slots.length / 2 + 2, index | 0);
  expect(replica.canRead()).toBe(true);
  Atomics.store(seam.slots, seam.slots.length / 2 + 2, (index + 2) | 0);
  expect(replica.canRead()).toBe(false);
  const reads = [replica.readable(), replica.readable()];
  host.receive(events.passedBy(GROUP, index + 1), false);
  expect(await states(reads)).toEqual(["waits", "waits"]);
  host.receive(events.entry(GROUP, index + 2, entryOf([])), false);
  expect(await states(reads)).toEqual(["ready", "ready"]);
  expect(replica.canRead()).toBe(true);
  Atomics.store(seam.slots, seam.slots.length / 2 + 2, (index + 3) | 0);
  reads.push(replica.readable());
  host.detach(GROUP);
  expect(await states(reads)).toEqual(["ready", "ready", "failed"]);
  expect(seam.readsAsked).toEqual([]);
});

test("a snapshot that is installed answers this node's callers whose commands it holds", () => {
  const sent = { node: 1, incarnation: 1, number: 1, acknowledged: 0 };
  const foreign = { ...sent, node: 2, commands: [{ request: 1, argument: 8 }] };
  const entry = entryOf([{ ...sent, commands: [{ request: 5, argument: 7 }] }, foreign]);
  const leader = hostOf(3);
  const from = leader.host.attach(GROUP, "group", () => new DataMachine(module));
  leader.host.receive(events.entry(GROUP, 1, entry), false);
  const { host, settled } = hostOf(1);
  host.attach(GROUP, "group", () => new DataMachine(module));
  const preamble = from.preamble();
  host.receive(event(EVENT_TYPE.installSnapshot, GROUP, []), false);
  host.receive(event(EVENT_TYPE.snapshotChunk, GROUP, [preamble.length], preamble), false);
  host.receive(event(EVENT_TYPE.snapshotInstalled, GROUP, []), false);
  expect(settled).toEqual([[5, 7]]);
});

test("reads of a replica that is taken away fail, and so do those of one that does not lead", async () => {
  const { host, replica } = leading();
  const reads = [replica.readable()];
  await states(reads);
  reads.push(replica.readable());
  host.detach(GROUP);
  expect(await states(reads)).toEqual(["failed", "failed"]);
  await expect(replica.readable()).rejects.toMatchObject({ code: "NO_LEADER" });
});

test("a replica is not whole while a snapshot is being installed", () => {
  const { host, replica } = leading();
  host.receive(event(EVENT_TYPE.installSnapshot, GROUP, []), false);
  expect(replica.whole).toBe(false);
  const preamble = replica.preamble();
  host.receive(event(EVENT_TYPE.snapshotChunk, GROUP, [preamble.length], preamble), false);
  host.receive(event(EVENT_TYPE.snapshotInstalled, GROUP, []), false);
  expect(replica.whole).toBe(true);
});

test("waits for a leader end with the change, once, or when they are given up", () => {
  const { host } = leading();
  let told = 0;
  host.onceLeaderChanged(GROUP, () => told++);
  host.onceLeaderChanged(GROUP, () => told++)();
  host.receive(events.leader(GROUP, 5), false);
  host.receive(events.leader(GROUP, 6), false);
  expect(told).toBe(1);
});

test("events about other nodes are told with all their fields", () => {
  const told: unknown[] = [];
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      void told.push([name, ...args]);
  const listener: Partial<HostListener> = {
    memberWanted: note("wanted"),
    memberRemoved: note("removed"),
    called: ({ body, ...rest }: HostCall) => void told.push(["called", rest, [...body]]),
    peerChanged: note("peer"),
    streamRefused: note("refused"),
  };
  const { host } = hostOf(1, 1, listener);
  host.attach(GROUP, "group", () => new DataMachine(module));
  const big = 2 ** 51 + 5;
  const text = new TextEncoder().encode("other café");
  const body = Uint8Array.from([1, 2, 3]);
  host.receive(event(EVENT_TYPE.memberWanted, 12, [3], body), false);
  host.receive(event(EVENT_TYPE.memberRemoved, GROUP, []), false);
  const call = [...long(2 ** 33), ...long(big), 7, 1, body.length];
  host.receive(event(EVENT_TYPE.call, 0, call, body), false);
  host.receive(event(EVENT_TYPE.peerChanged, 0, [...long(big), 3, 9]), false);
  host.receive(event(EVENT_TYPE.streamRefused, 0, [...long(0), 2, text.length], text), false);
  host.receive(event(EVENT_TYPE.peerChanged, 0, [...long(big), 99, 9]), false);
  expect(told).toEqual([
    ["wanted", 12, body],
    ["removed", GROUP],
    ["called", { ticket: 2 ** 33, node: big, incarnation: 7, isMember: true }, [1, 2, 3]],
    ["peer", big, "restarted", 9],
    ["refused", 0, 2, "other café"],
  ]);
  expect(host.replica(GROUP)).toBeUndefined();
});

test("a listener that throws at what another node sent ends nothing", () => {
  const { host, logged } = hostOf(1, 1, {
    memberWanted: () => {
      throw new Error("unreadable");
    },
  });
  host.receive(event(EVENT_TYPE.memberWanted, 12, [0]), false);
  expect(logged).toHaveLength(1);
});

test("what fails after entries were applied does not stop the entries of others", () => {
  const { host } = hostOf(1);
  const applied: number[] = [];
  for (const group of [GROUP, GROUP + 1]) {
    const replica = host.attach(group, "group", () => new DataMachine(module));
    replica.onApplied = () => {
      applied.push(group);
      throw new Error("defect");
    };
  }
  host.receive(events.entry(GROUP, 1, entryOf([])), false);
  host.receive(events.entry(GROUP + 1, 1, entryOf([])), false);
  expect(applied).toEqual([GROUP, GROUP + 1]);
});
