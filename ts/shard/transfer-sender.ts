/**
 * The sender's side of a range transfer: `begin`, `handOver`, `finish`, `abort`.
 *
 * The moved range is the upper part of the owned range (split) or all of it (merge). While copying,
 * everything is served as before and changes are noted; the hand-over only shrinks the owned
 * range, so its cost does not depend on how much moves.
 */
import { TOMBSTONES_MAX } from "../limits.ts";
import { packRetained } from "../machine/result.ts";
import { ChangeLog } from "./changes.ts";
import type { Certificate, ShardCommand } from "./requests.ts";
import type { ShardState } from "./state.ts";
import type { Copying, HandedOver } from "./status.ts";
import { Tally } from "./tally.ts";
import { DONE, end, isRange, overReply, rejected, type TransferReply } from "./transfer.ts";

/** Starts noting the changes in a range. */
export function begin(
  state: ShardState,
  command: Extract<ShardCommand, { type: "begin" }>,
): TransferReply {
  const { transfer, to } = command;
  const over = overReply(state, transfer);
  if (over !== null) return over;
  const { status } = state;
  if ((status.type === "copying" || status.type === "handedOver") && status.transfer === transfer) {
    return { type: "begun", watermark: status.changes.since };
  }
  if (status.type !== "serving") return rejected(state, `transfer ${transfer} cannot begin`);
  if (!isRange(command) || command.start < state.start || command.end !== state.end) {
    const owned = `[${state.start}, ${state.end})`;
    const range = `[${command.start}, ${command.end})`;
    return rejected(state, `transfer ${transfer} of ${range} is not the upper part of ${owned}`);
  }
  const tally = new Tally();
  state.table.walk(command.start, command.end, (entry) => {
    tally.add(entry);
    return true;
  });
  const changes = new ChangeLog(state.clock);
  const range = { start: command.start, end: command.end };
  state.become({ type: "copying", transfer, ...range, to, changes, tally });
  return { type: "begun", watermark: changes.since };
}

/** Gives the range up. Repeated, it gives the same certificate. */
export function handOver(state: ShardState, transfer: number, index: number): TransferReply {
  const over = overReply(state, transfer);
  if (over !== null) return over;
  const { status } = state;
  if (status.type === "handedOver" && status.transfer === transfer) {
    return { type: "handedOver", certificate: certificateOf(status) };
  }
  if (status.type !== "copying" || status.transfer !== transfer) {
    return rejected(state, `transfer ${transfer} has nothing to hand over`);
  }
  const { start, end: limit, to, changes, tally } = status;
  const handedOver: HandedOver = {
    type: "handedOver",
    transfer,
    start,
    end: limit,
    to,
    changes,
    tally,
    clock: state.clock,
    index,
    results: state.retained.within(start, limit),
    marks: state.retained.marks(),
  };
  state.become(handedOver);
  state.own(state.start, start);
  state.keys -= tally.count;
  state.size = state.keys === 0 ? 0 : state.size - tally.size;
  return { type: "handedOver", certificate: certificateOf(handedOver) };
}

/** Drops the frozen entries, once the receiver has opened. */
export function finish(state: ShardState, transfer: number): TransferReply {
  const over = overReply(state, transfer);
  if (over !== null) return over;
  const { status } = state;
  if (status.type !== "handedOver" || status.transfer !== transfer) {
    return rejected(state, `transfer ${transfer} cannot be finished`);
  }
  state.drop(status.start, status.end);
  const isEmpty = state.start === state.end;
  state.become(isEmpty ? { type: "drained", transfer, to: status.to } : { type: "serving" });
  end(state, transfer, "completed");
  return DONE;
}

/** Gives a transfer up that is still copying. */
export function abortSender(state: ShardState, status: Copying): TransferReply {
  for (const tombstone of status.changes.tombstones()) state.bury(tombstone);
  state.become({ type: "serving" });
  end(state, status.transfer, "aborted");
  return DONE;
}

/**
 * Ends a copy that would keep too many tombstones: keys that come and go faster than they are
 * copied must not fill memory. The directory sees `over` and begins again.
 */
export function boundTombstones(state: ShardState): void {
  const { copying } = state;
  if (copying === null) return;
  if (copying.changes.tombstoneCount > TOMBSTONES_MAX) abortSender(state, copying);
}

function certificateOf(status: HandedOver): Certificate {
  const { transfer, tally, clock, index, results, marks } = status;
  return {
    transfer,
    tally: tally.image(),
    clock,
    index,
    results: results.map(packRetained),
    marks,
  };
}
