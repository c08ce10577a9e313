/**
 * Calls the user's `command` and checks strictly what it returns before anything changes.
 *
 * Whatever the callback does (throw anything, return a promise, a malformed tuple, a value that
 * cannot be stored), the outcome is a refusal with a message that names keyspace, key and fault.
 */
import { isPromise } from "node:util/types";
import { checkStorable, encodeValue } from "../codec/index.ts";
import type { EntryContext, Result } from "../machine/machine.ts";
import { EncodedResult, Refusal } from "../machine/machine.ts";
import { describeKey, describeThrown, describeValue, ignoreRejection } from "./describe.ts";
import type { DeterminismCheck } from "./determinism.ts";
import type { CommandContext, ValuePerKey } from "./module.ts";

/** Time and chance of a command. */
export type CommandTime = Pick<EntryContext, "now" | "random">;

/** Runs a command, and looks at it while it does. */
export type CommandCheck = Pick<DeterminismCheck, "run">;

/** Time and chance of the entry being applied. One object for all commands; not to be kept. */
class ReusedContext implements CommandContext {
  now = 0;
  entry: CommandTime | null = null;
  readonly random = (): number => {
    if (this.entry === null) throw new Error("random() was called after the command had ended");
    return this.entry.random();
  };
}

/** Runs commands of one keyspace; after `run` gave `null` its fields hold the outcome. */
export class CommandRunner {
  /** The user's result as it goes to the caller and into the retry table. */
  result: Result = undefined;
  /** The user's result itself, for the leader hook. */
  ret: unknown = undefined;
  load = 0;
  next: unknown = undefined;
  nextSize = 0;
  /** Runs the callback in place of this, if set. */
  check: CommandCheck | null = null;
  private readonly keyspace: string;
  private readonly module: ValuePerKey;
  private readonly context = new ReusedContext();

  constructor(keyspace: string, module: ValuePerKey) {
    this.keyspace = keyspace;
    this.module = module;
  }

  /** Calls the callback, under the check if there is one. A refusal: nothing may change. */
  run(
    previous: unknown,
    size: number,
    key: unknown,
    argument: unknown,
    entry: CommandTime,
  ): Refusal | null {
    const { check } = this;
    return check === null
      ? this.call(previous, size, key, argument, entry)
      : check.run(this, previous, size, key, argument, entry);
  }

  /** Calls the callback. A refusal means that nothing may change. */
  call(
    previous: unknown,
    size: number,
    key: unknown,
    argument: unknown,
    entry: CommandTime,
  ): Refusal | null {
    const { context } = this;
    context.now = entry.now;
    context.entry = entry;
    let fault: string | null;
    try {
      fault = this.take(this.module.command(previous, size, key, argument, context));
    } catch (thrown) {
      ignoreRejection(thrown);
      fault = describeThrown(thrown);
    }
    context.entry = null;
    if (fault === null) return null;
    return commandFailed(this.keyspace, key, fault);
  }

  private take(outcome: unknown): string | null {
    if (!Array.isArray(outcome) || outcome.length !== 4) {
      ignoreRejection(outcome);
      return `it must return [ret, load, nextValue, nextSize], not ${describeValue(outcome)}`;
    }
    const ret: unknown = outcome[0];
    const load: unknown = outcome[1];
    const next: unknown = outcome[2];
    const nextSize: unknown = outcome[3];
    if (!isAmount(load)) return faultyAmount("load", load);
    if (!isAmount(nextSize)) return faultyAmount("nextSize", nextSize);
    const kind = typeof next;
    if (kind === "object" || kind === "function" || kind === "symbol") {
      const fault = next === null ? null : storableFault("nextValue", next);
      if (fault !== null) {
        ignoreRejection(ret);
        return fault;
      }
    }
    this.result = toResult(ret);
    this.ret = ret;
    this.load = load;
    this.next = next;
    this.nextSize = nextSize;
    return null;
  }
}

/** What a failed command answers. */
export function commandFailed(keyspace: string, key: unknown, fault: string): Refusal {
  const name = `command of keyspace ${JSON.stringify(keyspace)} on key ${describeKey(key)}`;
  return new Refusal("COMMAND_FAILED", `${name}: ${fault}`);
}

/** Is it a load or size? */
export function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Number.POSITIVE_INFINITY;
}

/** Says what is wrong with a load or size. */
export function faultyAmount(name: string, value: unknown): string {
  ignoreRejection(value);
  return `${name} must be a finite number of 0 or more, not ${describeValue(value)}`;
}

/** Turns what a user returned into a result; throws when it cannot be sent. */
function toResult(ret: unknown): Result {
  switch (typeof ret) {
    case "undefined":
    case "boolean":
    case "number":
    case "string":
    case "bigint":
      return ret;
    case "object": {
      if (ret === null) return null;
      return new EncodedResult(encodeRet(ret));
    }
    default:
      throw new Error(`ret cannot be ${describeValue(ret)}`);
  }
}

function encodeRet(ret: object): Uint8Array {
  ignoreRejection(ret);
  if (isPromise(ret)) throw new Error("ret cannot be a promise");
  try {
    return encodeValue(ret);
  } catch (thrown) {
    throw new Error(`ret cannot be sent: ${describeThrown(thrown)}`);
  }
}

function storableFault(name: string, value: unknown): string | null {
  if (typeof value !== "object") return `${name} cannot be ${describeValue(value)}`;
  if (isPromise(value)) {
    ignoreRejection(value);
    return `${name} cannot be a promise`;
  }
  const fault = checkStorable(value);
  return fault === null ? null : `${name} cannot be stored: ${fault}`;
}
