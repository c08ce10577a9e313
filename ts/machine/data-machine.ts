/**
 * Hosts a user's `DataModule` as a replicated state machine.
 *
 * Promises: user code that throws, returns a promise or a malformed tuple changes nothing on any
 * replica and is a `COMMAND_FAILED` or `QUERY_FAILED` for its caller; a caller, the state and the
 * retry table never share an object. A snapshot, and a checksum, is of the whole state, encoded at
 * the moment it starts: for values of moderate size, where a keyspace is for large ones.
 */
import { isPromise } from "node:util/types";
import { Reader } from "../codec/reader.ts";
import { checkStorable } from "../codec/storable.ts";
import { decodeValue, encodeValue, readValue, writeValueLenient } from "../codec/value.ts";
import { Writer } from "../codec/writer.ts";
import { DATA_SNAPSHOT_PIECE_BYTES } from "../limits.ts";
import { Checksum } from "./checksum.ts";
import type { DataModule } from "./data-module.ts";
import {
  type ChecksumPass,
  type Command,
  EncodedResult,
  type EntryContext,
  Refusal,
  type Result,
  type SnapshotWriter,
  type StateMachine,
} from "./machine.ts";

/** Watches a machine while this node leads its group: where side effects start. */
export interface DataObserver<State, Arg, Ret, QArg, QRet> {
  /** A command has taken effect. */
  committed?(before: State, arg: Arg, ret: Ret, after: State): void;
  /** A query has been answered. */
  answered?(state: State, arg: QArg, ret: QRet): void;
  /** The observer itself threw, or a part of the state can't be stored. */
  failed?(error: unknown): void;
}

/** How a state that is no plain value is written into snapshots, and read from them. */
export interface StateImage<State> {
  /** The state as a value that can be encoded. */
  pack(state: State): unknown;
  /** The state of such a value. */
  unpack(image: unknown): State;
}

/** The machine of a group that runs a `DataModule`. */
export class DataMachine<State, Arg = unknown, Ret = unknown, QArg = Arg, QRet = Ret>
  implements StateMachine
{
  /** Set while this node leads the group, by the host. */
  observer: DataObserver<State, Arg, Ret, QArg, QRet> | null = null;
  private readonly module: DataModule<State, Arg, Ret, QArg, QRet>;
  private readonly image: StateImage<State> | null;
  private current: State;
  private pieces: Uint8Array[] = [];

  /** `image` is for states of this library's own; a user's state is written as it is. */
  constructor(
    module: DataModule<State, Arg, Ret, QArg, QRet>,
    image: StateImage<State> | null = null,
  ) {
    this.module = module;
    this.image = image;
    this.current = module.init();
  }

  /** The present value. To be looked at, never changed. */
  get state(): State {
    return this.current;
  }

  apply(command: Command, _context: EntryContext): Result {
    const before = this.current;
    let arg: Arg;
    let ret: Ret;
    let after: State;
    let result: Result;
    try {
      arg = readValue(new Reader(command.bytes, command.argumentStart)) as Arg;
      const outcome: unknown = this.module.command(before, arg);
      [ret, after] = checkedOutcome<Ret, State>(outcome);
      result = toResult(ret);
    } catch (error) {
      return new Refusal("COMMAND_FAILED", messageOf(error));
    }
    this.current = after;
    this.observe((observer) => observer.committed?.(before, arg, ret, after));
    return result;
  }

  query(request: Uint8Array): Result {
    let arg: QArg;
    let ret: QRet;
    let result: Result;
    try {
      arg = decodeValue(request) as QArg;
      ret = this.module.query(this.current, arg);
      result = toResult(ret);
    } catch (error) {
      return new Refusal("QUERY_FAILED", messageOf(error));
    }
    this.observe((observer) => observer.answered?.(this.current, arg, ret));
    return result;
  }

  snapshot(): SnapshotWriter {
    const writer = new Writer();
    const state = this.image === null ? this.current : this.image.pack(this.current);
    writeValueLenient(writer, state, (path, kind) => {
      const message = `${kind} at ${path} of the state can't be stored: undefined from now on`;
      this.observer?.failed?.(new TypeError(message));
    });
    let rest: Uint8Array | null = writer.bytes.subarray(0, writer.length);
    return {
      next(bytes) {
        if (rest === null || rest.length === 0) return null;
        const length = Math.max(1, Math.min(bytes, DATA_SNAPSHOT_PIECE_BYTES));
        const piece = rest.subarray(0, length);
        rest = rest.subarray(length);
        return piece;
      },
      close() {
        rest = null;
      },
    };
  }

  checksum(): ChecksumPass {
    const sum = new Checksum();
    sum.addValue(this.current);
    return { next: () => sum.toString(), close: () => undefined };
  }

  reset(): void {
    this.current = this.module.init();
    this.pieces = [];
  }

  restore(piece: Uint8Array): void {
    this.pieces.push(piece.slice());
  }

  restored(): void {
    const pieces = this.pieces;
    this.pieces = [];
    if (pieces.length === 0) return;
    const state = decodeValue(Buffer.concat(pieces));
    this.current = this.image === null ? (state as State) : this.image.unpack(state);
  }

  private observe(call: (observer: DataObserver<State, Arg, Ret, QArg, QRet>) => void): void {
    const { observer } = this;
    if (observer === null) return;
    try {
      call(observer);
    } catch (error) {
      observer.failed?.(error);
    }
  }
}

function checkedOutcome<Ret, State>(outcome: unknown): [Ret, State] {
  refusePromise(outcome, "command returned a promise; it must not be async");
  if (!Array.isArray(outcome) || outcome.length !== 2) {
    throw new TypeError("command must return [result, next state]");
  }
  refusePromise(outcome[1], "command returned a promise as the next state");
  const fault = checkStorable(outcome[1]);
  if (fault !== null) throw new TypeError(`the next state can't be stored: ${fault}`);
  return [outcome[0] as Ret, outcome[1] as State];
}

/** A value as it may leave the machine: objects as bytes, the rest as it is. */
function toResult(value: unknown): Result {
  switch (typeof value) {
    case "undefined":
    case "boolean":
    case "number":
    case "string":
    case "bigint":
      return value;
    case "object":
      if (value === null) return null;
      refusePromise(value, "the result is a promise");
      return new EncodedResult(encodeValue(value));
    default:
      throw new TypeError(`a ${typeof value} can't be a result`);
  }
}

/** Nobody will await the promise: its rejection must not end the process. */
function refusePromise(value: unknown, message: string): void {
  if (!isPromise(value)) return;
  value.catch(() => undefined);
  throw new TypeError(message);
}

function messageOf(error: unknown): string {
  if (isPromise(error)) error.catch(() => undefined);
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return "an error that can't be shown";
  }
}
