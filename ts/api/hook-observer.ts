/** Calls a keyspace's leader hook; attached to a shard only while this node leads it. */
import { RaftKVError } from "../errors.ts";
import type { ShardMachine } from "../shard/machine.ts";
import type { LeaderHook } from "../shard/module.ts";
import type { ShardObserver } from "../shard/observer.ts";
import type { Core } from "./core.ts";

/** See the head of this file. */
export class HookObserver implements ShardObserver {
  private readonly hook: LeaderHook;
  private readonly shard: ShardMachine;
  private readonly core: Core;

  constructor(hook: LeaderHook, shard: ShardMachine, core: Core) {
    this.hook = hook;
    this.shard = shard;
    this.core = core;
  }

  committed(
    before: unknown,
    sizeBefore: number,
    key: unknown,
    argument: unknown,
    ret: unknown,
    after: unknown,
    sizeAfter: number,
  ): void {
    this.hook.onCommandCommitted?.(before, sizeBefore, key, argument, ret, after, sizeAfter);
  }

  /** A query was answered on this node. */
  answered(value: unknown, size: number, key: unknown, argument: unknown, ret: unknown): void {
    try {
      this.hook.onQueryAnswered?.(value, size, key, argument, ret);
    } catch (error) {
      this.hookFailed(error);
    }
  }

  hookFailed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const { keyspace } = this.shard;
    const message = `the leader hook of keyspace ${keyspace} threw: ${reason}`;
    this.core.events.emit("warning", new RaftKVError("COMMAND_FAILED", message, { cause: error }));
  }

  changed(): void {}
}
