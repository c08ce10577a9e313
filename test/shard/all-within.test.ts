/** A command on all keys of a range says how far a shard carried it out, and moves with its hash. */
import { beforeEach, expect, it } from "vitest";
import { decodeValue, keyIdentity } from "../../ts/codec/index.ts";
import { EncodedResult, Refusal } from "../../ts/machine/machine.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import {
  type ChunkReply,
  type ShardReply,
  shardCommand,
  shardRead,
} from "../../ts/shard/requests.ts";
import { type Answered, END, fingerprintOf, Group } from "./harness.ts";

const HALF = END / 2;
const UPPER = { start: HALF, end: END };

const counter: ValuePerKey<number, unknown, "add", number, "get", number> = {
  command: (count = 0) => [count + 1, 1, count + 1, 1],
  query: (count) => [count, 1],
};

let low: Group;
let high: Group;
let batch = 0;

function send(to: Group, request: number, from: number, end: number, retry = false): Answered {
  const session = { node: 7, incarnation: 1, batch: ++batch, acknowledged: 1, retry };
  const argument = shardCommand.allWithin("add", { start: from, end });
  return to.commit({ ...session, request, hash: from, argument });
}

function answer(answered: Answered): unknown {
  if (answered instanceof EncodedResult) return decodeValue(answered.bytes);
  return answered instanceof Refusal ? [answered.code, answered.group] : answered;
}

function countOf(group: Group, hash: number): unknown {
  const key = `key-${hash}`;
  return group.machine.find(hash, fingerprintOf(key), keyIdentity(key))?.value;
}

function add(to: Group, hash: number): void {
  const session = { node: 8, incarnation: 1, batch: ++batch, acknowledged: 1, retry: false };
  to.commit({ ...session, request: batch, key: `key-${hash}`, hash, argument: "add" });
}

function handOver(): ShardReply {
  const certificate = low.tell(shardCommand.handOver(1)) as ShardReply;
  if (certificate.type !== "handedOver") throw new Error(JSON.stringify(certificate));
  return certificate;
}

beforeEach(() => {
  batch = 0;
  low = new Group(11, counter, { start: 0, end: END });
  high = new Group(12, counter, null);
  for (const hash of [5, HALF - 1, HALF, END - 1]) add(low, hash);
  high.tell(shardCommand.expect(1, UPPER, 11));
  low.tell(shardCommand.begin(1, UPPER, 12));
  const chunk = low.read(shardRead.chunk(1, 0, 1_000_000)) as ChunkReply;
  high.tell(shardCommand.install(1, chunk.entries));
});

it("covers what the shard owns from the first hash on, and no more than was asked for", () => {
  expect(answer(send(low, 1, 0, HALF))).toEqual({ type: "covered", end: HALF });
  const certificate = handOver();
  expect(answer(send(low, 2, 0, END))).toEqual({ type: "covered", end: HALF });
  expect(answer(send(low, 3, HALF, END))).toEqual(["MOVED", 12]);
  expect(answer(send(high, 3, HALF, END, true))).toEqual(["NOT_YET", undefined]);
  if (certificate.type !== "handedOver") return;
  expect(high.tell(shardCommand.open(1, certificate.certificate))).toEqual({ type: "done" });
  expect(answer(send(high, 3, HALF, END, true))).toEqual({ type: "covered", end: END });
  expect(answer(send(high, 4, 5, END))).toEqual(["BELOW_RANGE", undefined]);
  expect(answer(send(low, 5, HALF + 7, END))).toEqual(["MOVED", 12]);
  expect([5, HALF - 1].map((hash) => countOf(low, hash))).toEqual([3, 3]);
  expect([HALF, END - 1].map((hash) => countOf(high, hash))).toEqual([2, 2]);
});

it("is not carried out again where its first hash has moved to", () => {
  expect(answer(send(low, 1, HALF, END))).toEqual({ type: "covered", end: END });
  const changed = low.read(shardRead.changes(1, 0, 1_000_000)) as { entries: Uint8Array };
  high.tell(shardCommand.install(1, changed.entries));
  const certificate = handOver();
  if (certificate.type !== "handedOver") return;
  expect(high.tell(shardCommand.open(1, certificate.certificate))).toEqual({ type: "done" });
  // The answer was lost, and the shard that gave it is gone.
  expect(answer(send(high, 1, HALF, END, true))).toEqual({ type: "covered", end: END });
  expect([HALF, END - 1].map((hash) => countOf(high, hash))).toEqual([2, 2]);
});

it("is refused where it names no range", () => {
  for (const [start, end] of [
    [5, 5],
    [-1, 5],
    [0, END + 1],
    [0.5, 9],
  ] as const) {
    expect(answer(send(low, batch + 1, start, end))).toEqual(["REJECTED", undefined]);
  }
});
