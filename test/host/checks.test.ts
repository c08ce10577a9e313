/** Replicas compare their states with their leaders', and what differs is kept from everybody. */
import { expect, test } from "vitest";
import type { Difference, HostListener } from "../../ts/host/host.ts";
import type { Replica } from "../../ts/host/replica.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { EVENT_TYPE } from "../../ts/native/frames.ts";
import { checksumOf } from "../node/support/checksums.ts";
import { entryOf, event, events, hostOf, type SentCommand } from "./support.ts";

const GROUP = 9;
const [LEADER, FOLLOWER, CALLER] = [1, 2, 3];

/** Adds numbers up; `wrong` is what one node's code adds to each. */
function adder(wrong: number) {
  return () =>
    new DataMachine({
      init: () => 0,
      command: (sum: number, by: number): [number, number] => [sum + by, sum + by + wrong],
      query: (sum: number) => sum,
    });
}

/** A group on two hosts: both get every entry, unless a test holds it back. */
class Pair {
  readonly told: [string, unknown?][] = [];
  readonly leader = hostOf(LEADER);
  readonly follower = hostOf(FOLLOWER, 1, this.listener());
  readonly leads: Replica;
  readonly follows: Replica;
  index = 0;
  private request = 0;

  constructor(wrong: number) {
    this.leads = this.leader.host.attach(GROUP, "group", adder(0));
    this.follows = this.follower.host.attach(GROUP, "group", adder(wrong));
    for (const { host } of [this.leader, this.follower]) host.receive(leaderIs(LEADER), false);
    this.leader.host.receive(events.leaderReady(GROUP), false);
  }

  /** The next entry of the log, with one command of a node. */
  entry(command: Omit<SentCommand, "request">, node = CALLER): Buffer {
    const request = ++this.request;
    const batch = { node, incarnation: 1, number: request, acknowledged: 0 };
    const commands = [{ ...command, request }];
    return events.entry(GROUP, ++this.index, entryOf([{ ...batch, commands }]));
  }

  commit(command: Omit<SentCommand, "request">, node = CALLER): void {
    const entry = this.entry(command, node);
    for (const { host } of [this.leader, this.follower]) host.receive(Buffer.from(entry), false);
  }

  add(by: number, node = CALLER): void {
    this.commit({ argument: by }, node);
  }

  /** Has the states compared, with what the leader finds unless it claims something else. */
  async compare(claim: object = {}): Promise<void> {
    this.commit({ argument: { type: "begin" }, forHosts: true });
    const { index } = this;
    const checked = await this.leader.host.checks.result(this.leads, index);
    const own = { index, checksum: checked?.checksum, node: LEADER, term: 1 };
    this.commit({ argument: { type: "compare", ...own, ...claim }, forHosts: true });
    await this.follower.host.checks.result(this.follows, index);
    await Promise.resolve();
  }

  /** What a host at this moment gives for a replica that is rebuilt. */
  state(): { index: number; pieces: Uint8Array[] } {
    const pieces = [this.leads.preamble()];
    const writer = this.leads.machine.snapshot();
    for (let piece = writer.next(100); piece !== null; piece = writer.next(100)) {
      pieces.push(piece.slice());
    }
    return { index: this.leads.applied, pieces };
  }

  private listener(): Partial<HostListener> {
    return {
      replicaDiffers: (_replica, difference: Difference) =>
        this.told.push(["differs", difference.index]),
      replicaServesAgain: () => this.told.push(["serves again"]),
      quarantinedElected: (replica) => this.told.push(["elected", replica.term]),
    };
  }
}

function leaderIs(node: number, term = 1): Buffer {
  return events.leader(GROUP, node, term);
}

test("equal replicas say so, and none is told of", async () => {
  const pair = new Pair(0);
  pair.add(5);
  await pair.compare();
  expect(pair.follows.verified).toBe(2);
  expect(pair.leads.verified).toBe(2);
  expect(pair.told).toEqual([]);
  expect(checksumOf(pair.follows)).toBe(checksumOf(pair.leads));
});

test("a replica that differs answers nobody, until it is its leader's state again", async () => {
  const pair = new Pair(1);
  const { host, settled } = pair.follower;
  pair.add(5);
  await pair.compare();
  expect(pair.told).toEqual([["differs", 2]]);
  expect(pair.follows.whole).toBe(false);
  const before = settled.length;
  pair.add(7, FOLLOWER);
  expect(settled.length).toBe(before);
  const { index, pieces } = pair.state();
  // Behind the state that is installed, and after it.
  pair.add(8, FOLLOWER);
  expect(await host.rebuild(pair.follows, index, pieces)).toBe(true);
  expect(pair.told.at(-1)).toEqual(["serves again"]);
  expect(pair.follows.whole).toBe(true);
  // The answers to this node's callers, from the leader's state on: 12 is kept there for retries.
  expect(settled.slice(before).map(([, result]) => result)).toEqual([12, 20]);
});

test("a state from before the quarantine is too late, and one from ahead is waited for", async () => {
  const pair = new Pair(1);
  const { host } = pair.follower;
  pair.add(5);
  const early = pair.state();
  await pair.compare();
  expect(await host.rebuild(pair.follows, early.index, early.pieces)).toBe(false);
  const ahead = pair.entry({ argument: 9 });
  pair.leader.host.receive(Buffer.from(ahead), false);
  const { index, pieces } = pair.state();
  expect(await host.rebuild(pair.follows, index, pieces)).toBe(true);
  // It is in the state already.
  host.receive(Buffer.from(ahead), false);
  expect(pair.follows.applied).toBe(index);
  expect(checksumOf(pair.follows)).toBe(checksumOf(pair.leads));
});

test("only the word of the leader of this term counts", async () => {
  const pair = new Pair(1);
  pair.add(5);
  await pair.compare({ term: 2 });
  expect(pair.told).toEqual([]);
  // It was the word of a leader that was not known yet.
  pair.follower.host.receive(leaderIs(LEADER, 2), false);
  expect(pair.told).toEqual([["differs", 2]]);
  const other = new Pair(1);
  other.add(5);
  other.follower.host.receive(leaderIs(CALLER, 3), false);
  await other.compare();
  await other.compare({ term: 3 });
  expect(other.told).toEqual([]);
  await other.compare({ term: 3, node: CALLER });
  expect(other.told).toEqual([["differs", other.index - 1]]);
});

test("one that is elected in quarantine leads only once its state counts", async () => {
  const pair = new Pair(1);
  const { host, seam } = pair.follower;
  pair.add(5);
  await pair.compare();
  host.receive(leaderIs(FOLLOWER, 2), false);
  host.receive(events.leaderReady(GROUP, 2), false);
  expect(pair.told.at(-1)).toEqual(["elected", 2]);
  expect(pair.follows.leading).toBe(false);
  await expect(pair.follows.readable()).rejects.toMatchObject({ code: "NO_LEADER" });
  expect(seam.ready).toEqual([]);
  pair.follows.quarantine?.trust();
  expect(pair.follows.leading).toBe(true);
  expect(seam.ready).toEqual([2]);
  expect(pair.follows.whole).toBe(true);
});

test("no snapshot is written of a state that differs", async () => {
  const pair = new Pair(1);
  const { host, seam } = pair.follower;
  pair.add(5);
  await pair.compare();
  host.receive(events.beginSnapshot(GROUP, 4), false);
  expect(seam.snapshotsFailed).toEqual([4]);
  // The engine may bring the leader's state by itself.
  const [preamble, piece] = pair.state().pieces as [Uint8Array, Uint8Array];
  const chunk = (bytes: Uint8Array) =>
    event(EVENT_TYPE.snapshotChunk, GROUP, [bytes.length], bytes);
  host.receive(event(EVENT_TYPE.installSnapshot, GROUP, []), false);
  for (const bytes of [preamble, piece]) host.receive(chunk(bytes), false);
  host.receive(event(EVENT_TYPE.snapshotInstalled, GROUP, []), false);
  expect(pair.follows.whole).toBe(true);
  expect(checksumOf(pair.follows)).toBe(checksumOf(pair.leads));
});

test("a replica that is taken away ends its check and its quarantine", async () => {
  const pair = new Pair(1);
  const { host } = pair.follower;
  pair.add(5);
  pair.commit({ argument: { type: "begin" }, forHosts: true });
  const result = host.checks.result(pair.follows, pair.index);
  host.detach(GROUP);
  expect(await result).toBeNull();
  const other = new Pair(1);
  other.add(5);
  await other.compare();
  const { index, pieces } = other.state();
  const rebuilding = other.follower.host.rebuild(other.follows, index, pieces);
  other.follower.host.detach(GROUP);
  expect(await other.follower.host.rebuild(other.follows, index, pieces)).toBe(false);
  await rebuilding;
  expect(other.told.at(-1)).toEqual(["differs", 2]);
});

test("what cannot be read ends a replica and not the node", async () => {
  const pair = new Pair(1);
  const { host, failures } = pair.follower;
  pair.add(5);
  pair.commit({ argument: "nothing that hosts know", forHosts: true });
  await pair.compare();
  await expect(host.rebuild(pair.follows, pair.index, [Buffer.from([250])])).rejects.toThrow();
  expect(failures).toHaveLength(1);
  expect(host.replica(GROUP)).toBeUndefined();
});
