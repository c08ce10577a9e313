/** The invariants of range transfer, as checks on the two shards of an exploration. */
import { Reader } from "../../ts/codec/index.ts";
import { Refusal } from "../../ts/machine/machine.ts";
import { type EntryImage, readEntry } from "../../ts/shard/entry-bytes.ts";
import { type ChunkReply, type StatusReply, shardRead } from "../../ts/shard/requests.ts";
import type { HashRange } from "../../ts/shard/status.ts";
import { type Scenario, TRANSFER, type World } from "./explorer.ts";
import { digestOf, END, type Group } from "./harness.ts";

export function entriesOf(group: Group): EntryImage[] {
  const read = shardRead.chunk(TRANSFER, 0, 1_000_000);
  const reply = group.read(read);
  if (reply instanceof Refusal) throw new Error(reply.message);
  const { entries } = reply as ChunkReply;
  const reader = new Reader(entries);
  const found: EntryImage[] = [];
  while (reader.at < entries.length) found.push(readEntry(reader));
  return found;
}

export function checkOpened({ range }: Scenario, world: World, frozen: EntryImage[]): void {
  const receiver = world.groups[1];
  for (const { key, value, hash } of frozen) {
    const found = receiver.get(key as string);
    if (JSON.stringify(found) !== JSON.stringify(value)) {
      throw new Error(`${String(key)} (${hash}) is ${JSON.stringify(found)} after the opening`);
    }
  }
  const page = receiver.read(shardRead.keys(range.start, 1_000));
  const keys = (page as { keys: unknown[] }).keys;
  if (keys.length !== frozen.length) throw new Error(`the receiver opened with ${keys.join()}`);
}

export function checkAlways(scenario: Scenario, world: World): void {
  const [sender, receiver] = world.groups.map(
    (group) => group.read(shardRead.status()) as StatusReply,
  ) as [StatusReply, StatusReply];
  const ranges: HashRange[] = [];
  if (sender.start < sender.end) ranges.push(sender);
  if (receiver.start < receiver.end) ranges.push(receiver);
  const between = sender.status.type === "handedOver" && !ownsRange(receiver, scenario.range);
  if (between) ranges.push(sender.status as HashRange);
  ranges.sort((a, b) => a.start - b.start);
  let covered = 0;
  for (const { start: from, end } of ranges) {
    if (from !== covered) throw new Error(`ranges do not tile: ${JSON.stringify(ranges)}`);
    covered = end;
  }
  if (covered !== END) throw new Error(`ranges end at ${covered}`);
  if (sender.parked > 0) throw new Error("the sender parks");
  if (receiver.parked > scenario.operations.length) throw new Error("parked more than was sent");
  const counts = new Map<number, number>();
  for (const { id } of world.effects) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts) {
    if (count > 1) throw new Error(`request ${id} took effect ${count} times`);
  }
  world.operations.forEach((state, number) => {
    if (state.type === "done" && counts.get(number + 1) !== 1) {
      throw new Error(`request ${number + 1} was acknowledged without effect`);
    }
  });
}

function ownsRange({ start: from, end }: HashRange, range: HashRange): boolean {
  return from <= range.start && end >= range.end;
}

export function checkEnd(scenario: Scenario, world: World): void {
  const expected = new Map<string, string[]>();
  for (const { id, key, kind } of world.effects) {
    if (kind === "unset") expected.delete(key);
    else expected.set(key, [...(expected.get(key) ?? []), `r${id}`]);
  }
  const context = `after ${world.trace.join(", ")}`;
  world.operations.forEach(({ type }, number) => {
    if (type !== "done" && type !== "givenUp") throw new Error(`${number} is ${type} ${context}`);
  });
  const keys = new Set([...scenario.present, ...scenario.operations].map(({ key }) => key));
  for (const key of keys) {
    const values = world.groups.map((group) => group.get(key)).filter((value) => value);
    if (values.length > 1) throw new Error(`${key} has two values ${context}`);
    if (JSON.stringify(values[0]) !== JSON.stringify(expected.get(key))) {
      throw new Error(`${key} is ${JSON.stringify(values[0])} ${context}`);
    }
  }
  const statistics = world.groups.map((group) => group.machine.statistics());
  const total = statistics.reduce((sum, { keys: count }) => sum + count, 0);
  if (total !== expected.size) throw new Error(`${total} keys are counted ${context}`);
  const size = statistics.reduce((sum, { size: part }) => sum + part, 0);
  const expectedSize = [...expected.values()].reduce((sum, list) => sum + list.length, 0);
  if (size !== expectedSize) throw new Error(`a size of ${size} is counted ${context}`);
  checkReplay(world, context);
}

/** A replica restored from any snapshot on the way, fed the rest of the log, is the same. */
function checkReplay(world: World, context: string): void {
  for (const { at, length, make } of world.snapshots) {
    const replica = make();
    const group = world.groups[at];
    for (const entry of group.log.slice(length)) replica.applyEntry(entry);
    if (digestOf(replica.machine) !== digestOf(group.machine)) {
      throw new Error(`group ${at} replayed from entry ${length} differs ${context}`);
    }
  }
}
