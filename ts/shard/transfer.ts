/** What the commands of a transfer have in common at sender and receiver. */

import { HASH_END } from "../limits.ts";
import { Refusal } from "../machine/machine.ts";
import type { ShardReply } from "./requests.ts";
import type { ShardState } from "./state.ts";
import type { EndedTransfer, HashRange } from "./status.ts";

/** What a transfer command answers before it is encoded. */
export type TransferReply = ShardReply | Refusal;

/** The reply of a command that has nothing to say. */
export const DONE: ShardReply = { type: "done" };

/** The number of the transfer that runs on a shard, or `null`. */
export function runningTransfer(state: ShardState): number | null {
  switch (state.status.type) {
    case "copying":
    case "handedOver":
    case "awaiting":
    case "extending":
      return state.status.transfer;
    default:
      return null;
  }
}

/** The reply to a command whose transfer is over on this shard, `null` when it is not. */
export function overReply(state: ShardState, transfer: number): ShardReply | null {
  const running = runningTransfer(state);
  const { ended } = state;
  if (ended !== null && transfer <= ended.transfer) {
    return { type: "over", outcome: transfer === ended.transfer ? ended.outcome : "unknown" };
  }
  // Transfers of a shard run one after the other in the order of their numbers.
  if (running !== null && transfer < running) return { type: "over", outcome: "unknown" };
  return null;
}

/** Notes that a transfer is over. */
export function end(state: ShardState, transfer: number, outcome: EndedTransfer["outcome"]): void {
  state.ended = { transfer, outcome };
}

/** A refusal that says in which state the shard is. */
export function rejected(state: ShardState, message: string): Refusal {
  const running = runningTransfer(state);
  const transfer = running === null ? "" : ` in transfer ${running}`;
  const shard = `shard of group ${state.group} of keyspace ${JSON.stringify(state.keyspace)}`;
  return new Refusal("REJECTED", `${message}; ${shard} is ${state.status.type}${transfer}`);
}

/** Is it a range of hashes with something in it? */
export function isRange({ start, end: limit }: HashRange): boolean {
  return isHash(start) && Number.isInteger(limit) && limit > start && limit <= HASH_END;
}

function isHash(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < HASH_END;
}
