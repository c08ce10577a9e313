/** What was called later on a key does not overtake a command that its shard turned away. */
import { beforeEach, describe, expect, it } from "vitest";
import { PARKED_TIME_MS_MAX } from "../../ts/limits.ts";
import { PARKED, Refusal } from "../../ts/machine/machine.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import {
  type ChunkReply,
  type ShardReply,
  shardCommand,
  shardRead,
} from "../../ts/shard/requests.ts";
import { type Answered, END, Group, type Sent } from "./harness.ts";

const HALF = END / 2;
const RANGE = { start: HALF, end: END };
const KEY = { key: "k", hash: HALF + 1 };

/** The arguments of a key's commands, in their order. */
const list: ValuePerKey<readonly unknown[], unknown, unknown, number, never, never> = {
  command: (previous = [], _size, _key, arg) => [previous.length, 1, [...previous, arg], 1],
  query: (value) => [value as never, 1],
};

let sender: Group;
let receiver: Group;
let batch = 0;

function transfer(from: Group, to: Group, number: number): void {
  to.tell(shardCommand.expect(number, RANGE, from.group));
  from.tell(shardCommand.begin(number, RANGE, to.group));
  const chunk = from.read(shardRead.chunk(number, 0, 1_000_000)) as ChunkReply;
  to.tell(shardCommand.install(number, chunk.entries));
}

function handOver(from: Group, to: Group, number: number): void {
  const reply = from.tell(shardCommand.handOver(number)) as ShardReply;
  if (reply.type !== "handedOver") throw new Error(JSON.stringify(reply));
  expect(to.tell(shardCommand.open(number, reply.certificate))).toEqual({ type: "done" });
  from.tell(shardCommand.finish(number));
}

function send(to: Group, request: number, more: Partial<Sent> & { now?: number } = {}): Answered {
  const { now = 1_000, ...rest } = more;
  const session = { node: 7, incarnation: 1, batch: ++batch, acknowledged: 1, retry: false };
  return to.commit({ ...session, request, ...KEY, argument: request, ...rest }, now);
}

function codeOf(answered: Answered): string {
  return answered instanceof Refusal ? answered.code : String(answered);
}

beforeEach(() => {
  batch = 0;
  sender = new Group(11, list, { start: 0, end: END });
  receiver = new Group(12, list, null);
  transfer(sender, receiver, 1);
});

/** Request 1 is parked, and turned away because its time is over. */
function turnFirstAway(): void {
  expect(send(receiver, 1)).toBe(PARKED);
  send(receiver, 9, { key: "other", hash: HALF + 2, now: 1_000 + PARKED_TIME_MS_MAX });
  expect(receiver.settled.map(({ request }) => request)).toEqual([1]);
  handOver(sender, receiver, 1);
}

describe("a command that was turned away", () => {
  it("takes effect before a later one that was under way already", () => {
    turnFirstAway();
    expect(codeOf(send(receiver, 2))).toBe("NOT_YET");
    expect(codeOf(send(receiver, 3, { retry: true }))).toBe("NOT_YET");
    for (const request of [1, 2, 3]) {
      expect(codeOf(send(receiver, request, { retry: true }))).toBe(String(request - 1));
    }
    expect(receiver.get("k")).toEqual([1, 2, 3]);
  });

  it("holds back neither other keys nor other nodes", () => {
    turnFirstAway();
    expect(codeOf(send(receiver, 4, { key: "l", hash: HALF + 3 }))).toBe("0");
    expect(codeOf(send(receiver, 4, { node: 8 }))).toBe("0");
  });

  it("holds back nothing once its sender has settled it", () => {
    turnFirstAway();
    expect(codeOf(send(receiver, 2, { acknowledged: 2 }))).toBe("0");
    expect(receiver.sessions.turnedAway).toBe(1);
    send(receiver, 9, { key: "other", hash: HALF + 2, acknowledged: 9, retry: true });
    expect(receiver.sessions.turnedAway).toBe(0);
  });

  it("is remembered by a snapshot", () => {
    turnFirstAway();
    const copy = receiver.clone();
    expect(copy.sessions.image()).toEqual(receiver.sessions.image());
    expect(codeOf(send(copy, 2))).toBe("NOT_YET");
    expect(codeOf(send(copy, 1, { retry: true }))).toBe("0");
    expect(codeOf(send(copy, 2, { retry: true }))).toBe("1");
  });

  it("is remembered where its key moves to", () => {
    turnFirstAway();
    const third = new Group(13, list, null);
    transfer(receiver, third, 2);
    handOver(receiver, third, 2);
    expect(codeOf(send(third, 2))).toBe("NOT_YET");
    expect(codeOf(send(receiver, 1, { retry: true }))).toBe("MOVED");
    expect(codeOf(send(third, 1, { retry: true }))).toBe("0");
    expect(codeOf(send(third, 2, { retry: true }))).toBe("1");
  });

  it("holds back nothing where it took effect elsewhere and the key comes back", () => {
    handOver(sender, receiver, 1);
    expect(codeOf(send(sender, 1))).toBe("ABOVE_RANGE");
    expect(codeOf(send(receiver, 1, { retry: true }))).toBe("0");
    transfer(receiver, sender, 2);
    handOver(receiver, sender, 2);
    expect(codeOf(send(sender, 2))).toBe("1");
    expect(sender.sessions.turnedAway).toBe(0);
  });
});
