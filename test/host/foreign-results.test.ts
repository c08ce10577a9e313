/** Results for nodes without a replica: the same as a replica of theirs would give. */
import { expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../ts/codec/value.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import {
  type Command,
  type CommandOrigin,
  type EntryContext,
  PARKED,
  Refusal,
  type Result,
  type StateMachine,
} from "../../ts/machine/machine.ts";
import { entryOf, events, hostOf, type SentBatch } from "./support.ts";

const GROUP = 9;
const LEADER = 1;
const CALLER = 2 ** 40 + 7;

const counter = {
  init: () => ({ count: 0 }),
  command(state: { count: number }, arg: unknown): [unknown, { count: number }] {
    if (arg === "fail") throw new Error("no");
    const next = { count: state.count + 1 };
    return [arg === "object" ? { seen: [next.count], at: new Date(0) } : next.count, next];
  },
  query: (state: { count: number }) => state.count,
};

/** Refuses or parks as the argument says; "open" answers what is parked. */
class Gate implements StateMachine {
  private readonly parked: CommandOrigin[] = [];

  apply(command: Command, context: EntryContext): Result | typeof PARKED {
    const argument = decodeValue(command.bytes.subarray(command.argumentStart));
    if (argument === "park") {
      const { node, incarnation, request, hash } = command;
      this.parked.push({ node, incarnation, request, hash });
      return PARKED;
    }
    if (argument === "move") return new Refusal("MOVED", "elsewhere", 77);
    if (argument === "open" || argument === "close") {
      const result = argument === "open" ? "opened" : new Refusal("NOT_YET", "full");
      for (const origin of this.parked.splice(0)) context.settle(origin, result);
    }
    return 1;
  }

  query = () => undefined;
  snapshot = () => ({ next: () => null, close: () => undefined });
  checksum = () => ({ next: () => "", close: () => undefined });
  reset = () => undefined;
  restore = () => undefined;
  restored = () => undefined;
}

function batch(number: number, firstRequest: number, args: unknown[], retry = false): SentBatch {
  const commands = args.map((argument, at) => ({ request: firstRequest + at, argument, retry }));
  return { node: CALLER, incarnation: 3, number, acknowledged: 9, commands };
}

function leaderOf(machine: StateMachine) {
  const leader = hostOf(LEADER);
  leader.host.attach(GROUP, "counter", () => machine);
  leader.host.receive(events.leader(GROUP, LEADER), false);
  leader.host.receive(events.leaderReady(GROUP), false);
  let index = 0;
  const apply = (...batches: SentBatch[]) => {
    const entry = entryOf(batches);
    leader.host.receive(events.entry(GROUP, ++index, entry), false);
    return entry;
  };
  return { ...leader, apply };
}

/** What a caller without a replica is told. */
function toldBy(results: Uint8Array) {
  const caller = hostOf(CALLER, 3);
  caller.host.receive(events.results(GROUP, results), false);
  return caller;
}

test("a node without a replica is told what a replica of its own would have told it", () => {
  const leader = leaderOf(new DataMachine(counter));
  const entry = leader.apply(
    batch(1, 10, ["plain", "object", "fail", "plain"]),
    { ...batch(5, 1, ["plain"]), node: 55 },
    batch(2, 14, ["plain"]),
  );
  leader.host.receive(events.resultsWanted(GROUP, 4, entry), false);
  expect(leader.seam.given.map(({ ticket }) => ticket)).toEqual([4]);

  const replica = hostOf(CALLER, 3);
  replica.host.attach(GROUP, "counter", () => new DataMachine(counter));
  replica.host.receive(events.entry(GROUP, 1, entry), false);
  const caller = toldBy(leader.seam.given[0]!.results);
  expect(caller.settled).toEqual(replica.settled);
  expect(caller.settled.map(([request]) => request)).toEqual([10, 11, 12, 13, 14]);
  expect(caller.settled[2]![1]).toBeInstanceOf(Refusal);
  expect(leader.settled).toEqual([]);
});

test("results of another incarnation settle nothing", () => {
  const leader = leaderOf(new DataMachine(counter));
  const entry = leader.apply(batch(1, 10, ["plain"]));
  leader.host.receive(events.resultsWanted(GROUP, 4, entry), false);
  const caller = hostOf(CALLER, 4);
  caller.host.receive(events.results(GROUP, leader.seam.given[0]!.results), false);
  expect(caller.settled).toEqual([]);
});

test("an answer that asks to come again is told once, then as late", () => {
  const leader = leaderOf(new Gate());
  const entry = leader.apply(batch(1, 10, ["move", "count"]));
  leader.host.receive(events.resultsWanted(GROUP, 1, entry), false);
  leader.host.receive(events.resultsWanted(GROUP, 2, entry), false);
  const [first, second] = leader.seam.given.map(({ results }) => toldBy(results).settled);
  expect(first).toEqual([
    [10, new Refusal("MOVED", "elsewhere", 77)],
    [11, 1],
  ]);
  expect(second![0]![1]).toMatchObject({ code: "STALE" });
  expect(second![1]).toEqual([11, 1]);
});

test("a batch that comes late is answered with what it did, or as late", () => {
  const leader = leaderOf(new DataMachine(counter));
  leader.apply(batch(3, 10, ["plain"]));
  const late = leader.apply(batch(2, 9, ["plain", "plain"]));
  leader.host.receive(events.resultsWanted(GROUP, 1, late), false);
  const { settled } = toldBy(leader.seam.given[0]!.results);
  expect(settled[0]![1]).toMatchObject({ code: "STALE" });
  expect(settled[1]).toEqual([10, 1]);
});

test("results with a parked command come once it was answered, all together", () => {
  const leader = leaderOf(new Gate());
  const entry = leader.apply(batch(1, 10, ["count", "park", "park"]));
  leader.host.receive(events.resultsWanted(GROUP, 1, entry), false);
  expect(leader.seam.given).toEqual([]);
  leader.apply(batch(2, 20, ["open"]));
  expect(leader.seam.given).toHaveLength(1);
  expect(toldBy(leader.seam.given[0]!.results).settled).toEqual([
    [10, 1],
    [11, "opened"],
    [12, "opened"],
  ]);
});

test("a parked command that was turned away before its results were wanted says so", () => {
  const leader = leaderOf(new Gate());
  const entry = leader.apply(batch(1, 10, ["park"]));
  leader.apply(batch(2, 20, ["close"]));
  leader.host.receive(events.resultsWanted(GROUP, 1, entry), false);
  const { settled } = toldBy(leader.seam.given[0]!.results);
  expect(settled).toEqual([[10, new Refusal("NOT_YET", "full")]]);
});

test("who waits for results of a replica that is gone is asked to come again", () => {
  const leader = leaderOf(new Gate());
  const entry = leader.apply(batch(1, 10, ["count", "park"]));
  leader.host.receive(events.resultsWanted(GROUP, 1, entry), false);
  expect(leader.seam.given).toEqual([]);
  const machine = leader.host.replica(GROUP)!.machine;
  leader.host.detach(GROUP);
  leader.host.receive(events.resultsWanted(GROUP, 2, entry), false);
  expect(leader.seam.given.map(({ ticket }) => ticket)).toEqual([1, 2]);
  const [first, second] = leader.seam.given.map(({ results }) => toldBy(results).settled);
  expect(first).toMatchObject([
    [10, 1],
    [11, { code: "NOT_YET" }],
  ]);
  expect(second).toMatchObject([
    [10, { code: "STALE" }],
    [11, { code: "STALE" }],
  ]);
  leader.host.attach(GROUP, "counter", () => machine);
  leader.apply(batch(2, 20, ["open"]));
  expect(leader.seam.given).toHaveLength(2);
});

test("results that cannot be read are logged and settle nothing", () => {
  const unreadable = [
    new Uint8Array([255, 255]),
    encodeValue(null),
    encodeValue([2, []]),
    encodeValue([1, [[CALLER, 3, [10, 11], [[0, 1]]]]]),
    encodeValue([1, [[CALLER, 3, [10, 11], [[0, 1], 7]]]]),
    encodeValue([1, 5]),
  ];
  for (const bytes of unreadable) {
    const caller = toldBy(bytes);
    expect(caller.logged).toHaveLength(1);
    expect(caller.settled).toEqual([]);
  }
});
