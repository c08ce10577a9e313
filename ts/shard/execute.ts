/**
 * Carries commands out: decodes key and argument, finds the entry, calls the user's code and makes
 * its outcome the state. This is the hot path of the whole machine.
 */
import {
  isPrimitive,
  isShortTextKey,
  type Key,
  keyIdentity,
  Reader,
  readKey,
  readValue,
} from "../codec/index.ts";
import type { Command, EntryContext, Result } from "../machine/machine.ts";
import { Refusal } from "../machine/machine.ts";
import { type CommandCheck, CommandRunner } from "./command.ts";
import { describeThrown } from "./describe.ts";
import type { KeyIdentity, ShardEntry } from "./entry.ts";
import type { ValuePerKey } from "./module.ts";
import type { ShardObserver } from "./observer.ts";
import type { ShardState } from "./state.ts";
import { boundTombstones } from "./transfer-sender.ts";

const keyReader = new Reader(new Uint8Array(0));
const argumentReader = new Reader(new Uint8Array(0));

/** Carries out the commands of one shard, see the head of this file. */
export class Executor {
  observer: ShardObserver | null;
  private readonly runner: CommandRunner;

  constructor(keyspace: string, module: ValuePerKey, observer: ShardObserver | null) {
    this.runner = new CommandRunner(keyspace, module);
    this.observer = observer;
  }

  /** What looks at commands while they run; `null` when nothing does. */
  set check(check: CommandCheck | null) {
    this.runner.check = check;
  }

  /** A command on one key, which the shard owns. */
  keyed(state: ShardState, command: Command, context: EntryContext): Result {
    const { hash, bytes } = command;
    const fingerprint = command.fingerprint | 0;
    let entry = recentEntry(state, command, fingerprint);
    let key: Key;
    let identity: KeyIdentity;
    let argument: unknown;
    try {
      argumentReader.reset(bytes, command.argumentStart);
      argument = readValue(argumentReader);
    } catch (thrown) {
      return unreadable(thrown);
    }
    if (entry !== undefined) return this.changed(state, entry, entry.key, argument, context);
    try {
      keyReader.reset(bytes, command.keyStart);
      key = readKey(keyReader);
      identity = keyIdentity(key);
    } catch (thrown) {
      return unreadable(thrown);
    }
    entry = state.find(hash, fingerprint, identity);
    if (entry !== undefined) {
      state.table.remember(entry);
      return this.changed(state, entry, key, argument, context);
    }
    const { runner } = this;
    const refusal = runner.run(undefined, 0, key, argument, context);
    if (refusal !== null) return refusal;
    state.load += runner.load;
    if (runner.next !== undefined) {
      // User code has seen the key and may have kept it: the table's own is another object.
      const kept = isPrimitive(key) ? key : rereadKey(command);
      state.create(kept, identity, hash, fingerprint, runner.next, runner.nextSize);
    }
    this.notify(undefined, 0, key, argument, runner.ret);
    return runner.result;
  }

  /** A command on every owned key; per-key results are dropped. Returns how many keys it failed on. */
  all(
    state: ShardState,
    entries: readonly ShardEntry[],
    argumentOf: () => unknown,
    context: EntryContext,
  ): number {
    let failed = 0;
    for (const entry of entries) {
      const refusal = this.change(state, entry, entry.key, argumentOf(), true, context);
      if (refusal !== null) failed++;
    }
    return failed;
  }

  private changed(
    state: ShardState,
    entry: ShardEntry,
    key: unknown,
    argument: unknown,
    context: EntryContext,
  ): Result {
    const refusal = this.change(state, entry, key, argument, false, context);
    return refusal === null ? this.runner.result : refusal;
  }

  private change(
    state: ShardState,
    entry: ShardEntry,
    key: unknown,
    argument: unknown,
    dropRet: boolean,
    context: EntryContext,
  ): Refusal | null {
    const { runner } = this;
    // The callback may change the value in place, so a snapshot takes it before.
    state.protect(entry);
    const before = entry.value;
    const sizeBefore = entry.size;
    const refusal = runner.run(before, sizeBefore, key, argument, context);
    if (refusal !== null) return refusal;
    state.load += runner.load;
    if (runner.next !== undefined) state.update(entry, runner.next, runner.nextSize);
    else if (before !== undefined) state.remove(entry);
    if (state.copying !== null) boundTombstones(state);
    this.notify(before, sizeBefore, key, argument, dropRet ? undefined : runner.ret);
    return null;
  }

  private notify(
    before: unknown,
    sizeBefore: number,
    key: unknown,
    argument: unknown,
    ret: unknown,
  ): void {
    const { observer, runner } = this;
    if (observer === null) return;
    const after = runner.next;
    const sizeAfter = after === undefined ? 0 : runner.nextSize;
    try {
      observer.committed(before, sizeBefore, key, argument, ret, after, sizeAfter);
    } catch (thrown) {
      observer.hookFailed(thrown);
    }
    observer.changed();
  }
}

function unreadable(thrown: unknown): Refusal {
  return new Refusal("REJECTED", `the command cannot be read: ${describeThrown(thrown)}`);
}

/** The entry of a command's key, if that is known without a look-up by the key itself. */
function recentEntry(
  state: ShardState,
  { hash, bytes, keyStart, argumentStart }: Command,
  fingerprint: number,
): ShardEntry | undefined {
  const entry = state.table.findRecent(hash, fingerprint);
  const isIt = entry !== undefined && isShortTextKey(bytes, keyStart, argumentStart, entry.key);
  return isIt ? entry : undefined;
}

/** Bytes from a command's key to the end of its argument. Throws when they cannot be read. */
export function commandLength(command: Command): number {
  argumentReader.reset(command.bytes, command.argumentStart);
  readValue(argumentReader);
  return argumentReader.at - command.keyStart;
}

function rereadKey(command: Command): unknown {
  keyReader.reset(command.bytes, command.keyStart);
  return readKey(keyReader);
}
