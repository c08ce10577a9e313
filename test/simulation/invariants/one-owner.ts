/**
 * At no time do two shards own a hash, and owned ranges tile the whole space, but for ranges between
 * hand-over and opening (`design/transfer.md`, invariants 1 and 2; `architecture.md`, guarantee 2).
 */

import { decodeValue, encodeValue } from "../../../ts/codec/value.ts";
import { EncodedResult } from "../../../ts/machine/machine.ts";
import type { ShardMachine } from "../../../ts/shard/machine.ts";
import { type StatusReply, shardRead } from "../../../ts/shard/requests.ts";

const END = 2 ** 27;

/** `shards` are those of one keyspace, each with everything applied that is committed. */
export function checkOneOwner(shards: readonly ShardMachine[]): void {
  const owned = shards.map(({ range }) => range).filter(({ start, end }) => start < end);
  owned.sort((a, b) => a.start - b.start);
  const handedOver = shards
    .map(statusOf)
    .flatMap(({ status }) => (status.type === "handedOver" ? [status] : []));
  let at = 0;
  for (const { start, end } of [...owned, { start: END, end: END }]) {
    if (start < at) throw new Error(`[${start}, ${at}) has two owners`);
    const isUnderWay = handedOver.some((range) => range.start === at && range.end === start);
    if (start > at && !isUnderWay) throw new Error(`[${at}, ${start}) has no owner`);
    at = end;
  }
}

function statusOf(shard: ShardMachine): StatusReply {
  const reply = shard.query(encodeValue(shardRead.status()));
  if (!(reply instanceof EncodedResult)) throw new Error("a shard does not tell its status");
  return decodeValue(reply.bytes) as StatusReply;
}
