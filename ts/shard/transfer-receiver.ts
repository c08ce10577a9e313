/**
 * The receiver's side of a range transfer: `expect`, `install`, `open`, `abort`.
 *
 * Buffered entries stand in the same table as owned ones; only the owned range tells them apart, so
 * opening the range moves nothing. Installs are idempotent and commute: the higher version stays.
 */
import { Reader } from "../codec/index.ts";
import type { EntryContext } from "../machine/machine.ts";
import { Refusal } from "../machine/machine.ts";
import { unpackRetained } from "../machine/result.ts";
import { isFinal } from "../machine/sessions.ts";
import { readEntry } from "./entry-bytes.ts";
import { originOf, type ParkedCommand } from "./parking.ts";
import type { Certificate, ShardCommand } from "./requests.ts";
import type { ShardState } from "./state.ts";
import type { Receiving } from "./status.ts";
import { Tally } from "./tally.ts";
import { DONE, end, isRange, overReply, rejected, type TransferReply } from "./transfer.ts";

/** Opens a buffer for a range. */
export function expectRange(
  state: ShardState,
  command: Extract<ShardCommand, { type: "expect" }>,
): TransferReply {
  const { transfer, start, end: limit, from } = command;
  const over = overReply(state, transfer);
  if (over !== null) return over;
  const { status } = state;
  if (receiving(state, transfer) !== null) return DONE;
  if (!isRange(command)) return rejected(state, `transfer ${transfer} expects no range`);
  const isFirst = status.type === "uninitialised";
  if (!isFirst && (status.type !== "serving" || state.end !== start)) {
    return rejected(state, `transfer ${transfer} cannot bring [${start}, ${limit}) here`);
  }
  // Entries of this range that were dropped earlier would be owned again.
  state.garbage.clear();
  const type = isFirst ? "awaiting" : "extending";
  const fresh = { tally: new Tally(), tombstones: new Set<never>() };
  state.become({ type, transfer, start, end: limit, from, ...fresh });
  return DONE;
}

/** Takes entries into the buffer. */
export function install(
  state: ShardState,
  { transfer, entries }: Extract<ShardCommand, { type: "install" }>,
): TransferReply {
  const over = overReply(state, transfer);
  if (over !== null) return over;
  const status = receiving(state, transfer);
  if (status === null) return rejected(state, `transfer ${transfer} installs nothing here`);
  const reader = new Reader(entries);
  while (reader.at < entries.length) {
    const image = readEntry(reader);
    if (image.hash < status.start || image.hash >= status.end) {
      return rejected(state, `transfer ${transfer} brought an entry of another range`);
    }
    state.buffer(image, status);
  }
  return { type: "installed", count: status.tally.count };
}

/** Runs one parked command, which is in the owned range now. */
export type RunParked = (command: ParkedCommand) => void;

/** Takes the range over when the buffer is exactly what the sender froze. */
export function open(
  state: ShardState,
  { transfer, certificate }: Extract<ShardCommand, { type: "open" }>,
  context: EntryContext,
  run: RunParked,
): TransferReply {
  const over = overReply(state, transfer);
  if (over !== null) return over;
  const status = receiving(state, transfer);
  if (status === null) return rejected(state, `transfer ${transfer} has nothing to open`);
  const fault = difference(status, certificate);
  if (fault !== null) return rejected(state, `transfer ${transfer} cannot open: ${fault}`);
  state.own(status.type === "awaiting" ? status.start : state.start, status.end);
  state.keys += status.tally.count;
  state.size += status.tally.size;
  state.clock = Math.max(state.clock, certificate.clock);
  for (const tombstone of status.tombstones) state.bury(tombstone);
  state.become({ type: "serving" });
  end(state, transfer, "completed");
  const results = certificate.results.map(unpackRetained);
  state.retained.adoptMarks(certificate.marks);
  state.retained.adopt(results);
  const final = results.filter(({ result }) => isFinal(result));
  const known = new Map(final.map((result) => [nameOf(result), result.result]));
  for (const command of state.parking.take()) {
    const name = nameOf(command);
    // The first attempt of a retry may have taken effect at the sender.
    if (known.has(name)) context.settle(originOf(command), known.get(name));
    else if (state.retained.isOver(command)) context.settle(originOf(command), stale());
    else run(command);
  }
  return DONE;
}

/** Gives a transfer up that was not opened. The sender must have aborted before. */
export function abortReceiver(
  state: ShardState,
  status: Receiving,
  context: EntryContext,
): TransferReply {
  state.drop(status.start, status.end);
  state.become({ type: status.type === "awaiting" ? "uninitialised" : "serving" });
  end(state, status.transfer, "aborted");
  const message = `the transfer of the key's range to group ${state.group} was given up`;
  for (const command of state.parking.take()) {
    context.settle(originOf(command), new Refusal("MOVED", message, status.from));
  }
  return DONE;
}

function receiving(state: ShardState, transfer: number): Receiving | null {
  const { status } = state;
  if (status.type !== "awaiting" && status.type !== "extending") return null;
  return status.transfer === transfer ? status : null;
}

function difference({ tally }: Receiving, certificate: Certificate): string | null {
  const frozen = certificate.tally;
  if (tally.count !== frozen.count) {
    return `it holds ${tally.count} entries, the sender froze ${frozen.count}`;
  }
  if (tally.low === frozen.low && tally.high === frozen.high) return null;
  return `its ${tally.count} entries are not those that the sender froze`;
}

function nameOf({
  node,
  incarnation,
  request,
}: {
  node: number;
  incarnation: number;
  request: number;
}) {
  return `${node}/${incarnation}/${request}`;
}

function stale(): Refusal {
  return new Refusal("STALE", "the sender has settled this command already");
}
