/** Commands without a key: on all keys, entries of a backup, and the steps of a range transfer. */
import { encodeValue, isPrimitive, Reader, readValue } from "../codec/index.ts";
import type { Command, EntryContext, Result } from "../machine/machine.ts";
import { EncodedResult, Refusal } from "../machine/machine.ts";
import { describeThrown, describeValue } from "./describe.ts";
import type { Executor } from "./execute.ts";
import { outsideRefusal } from "./ownership.ts";
import { originOf } from "./parking.ts";
import { place } from "./place.ts";
import { isRequest, type ShardCommand } from "./requests.ts";
import type { ShardState } from "./state.ts";
import type { HashRange } from "./status.ts";
import { DONE, end, isRange, overReply, rejected, type TransferReply } from "./transfer.ts";
import { abortReceiver, expectRange, install, open } from "./transfer-receiver.ts";
import { abortSender, begin, finish, handOver } from "./transfer-sender.ts";

/** Applies a command without a key and encodes the reply. */
export function applyKeyless(
  state: ShardState,
  executor: Executor,
  command: Command,
  context: EntryContext,
): Result {
  try {
    const request = readArgument(command);
    const reply = dispatch(state, executor, request as ShardCommand, command, context);
    return reply instanceof Refusal ? reply : new EncodedResult(encodeValue(reply));
  } catch (thrown) {
    return new Refusal("REJECTED", `the command cannot be read: ${describeThrown(thrown)}`);
  }
}

function dispatch(
  state: ShardState,
  executor: Executor,
  request: ShardCommand,
  command: Command,
  context: EntryContext,
): TransferReply {
  if (!isRequest(request)) return rejected(state, `no command: ${describeValue(request)}`);
  if (request.type === "all") {
    return {
      type: "applied",
      ...applyToAll(state, executor, state, request.argument, command, context),
    };
  }
  if (request.type === "allWithin") return applyWithin(state, executor, request, command, context);
  if (request.type === "place") return place(state, request);
  if (!isTransferNumber(request.transfer)) return rejected(state, "no transfer number");
  switch (request.type) {
    case "expect":
      return expectRange(state, request);
    case "begin":
      return begin(state, request);
    case "install":
      return install(state, request);
    case "handOver":
      return handOver(state, request.transfer, context.index);
    case "open":
      return open(state, request, context, (parked) => {
        context.settle(originOf(parked), executor.keyed(state, parked, context));
      });
    case "finish":
      return finish(state, request.transfer);
    case "abort":
      return abort(state, request.transfer, context);
    default:
      return rejected(state, `no command of type ${describeValue((request as ShardCommand).type)}`);
  }
}

/** The ranges that shards answer for tile the hash space, so each key is met by one of them. */
function applyWithin(
  state: ShardState,
  executor: Executor,
  range: Extract<ShardCommand, { type: "allWithin" }>,
  command: Command,
  context: EntryContext,
): TransferReply {
  if (!isRange(range)) return rejected(state, "no range of hashes");
  const { start } = range;
  if (start < state.start || start >= state.end) return outsideRefusal(state, start);
  const end = Math.min(range.end, state.end);
  applyToAll(state, executor, { start, end }, range.argument, command, context);
  return { type: "covered", end };
}

function applyToAll(
  state: ShardState,
  executor: Executor,
  { start, end }: HashRange,
  argument: unknown,
  command: Command,
  context: EntryContext,
): { readonly keys: number; readonly failed: number } {
  const entries = state.table.within(start, end).filter(({ value }) => value !== undefined);
  // Each key gets an argument of its own: two values must not share an object.
  const argumentOf = isPrimitive(argument)
    ? () => argument
    : () => (readArgument(command) as { argument: unknown }).argument;
  const failed = executor.all(state, entries, argumentOf, context);
  return { keys: entries.length - failed, failed };
}

function abort(state: ShardState, transfer: number, context: EntryContext): TransferReply {
  const over = overReply(state, transfer);
  if (over !== null) return over;
  const { status } = state;
  const isReceiving = status.type === "awaiting" || status.type === "extending";
  if (status.type === "copying" && status.transfer === transfer) return abortSender(state, status);
  if (isReceiving && status.transfer === transfer) return abortReceiver(state, status, context);
  if (status.type === "handedOver" && status.transfer === transfer) {
    return rejected(state, `transfer ${transfer} can only go forward`);
  }
  if (status.type !== "serving" && status.type !== "uninitialised") {
    return rejected(state, `transfer ${transfer} cannot be given up`);
  }
  // It never came here; should it come late, it is over.
  end(state, transfer, "aborted");
  return DONE;
}

function isTransferNumber(transfer: unknown): boolean {
  return Number.isSafeInteger(transfer) && (transfer as number) > 0;
}

function readArgument(command: Command): unknown {
  return readValue(new Reader(command.bytes, command.argumentStart));
}
