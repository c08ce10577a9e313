/** What clients called, and what they were told. */
import { RaftKVError } from "../../ts/errors.ts";
import type { Keyspace } from "../../ts/index.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import { checkVisible } from "./invariants/visible.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** One command. */
export interface Call {
  readonly id: string;
  readonly key: string;
  /** The process that called: node and incarnation. */
  readonly process: string;
  readonly begun: number;
  outcome: "pending" | "acknowledged" | "not applied" | "unknown";
}

/** The ids of a key's commands, in the order in which they took effect. */
export type Ids = readonly string[];

export type IdKeyspace = Keyspace<string, string, number, "get", Ids>;

/** Keeps the ids of a key's commands; `happened` is told of each. */
export function idModule(
  happened: (id: string) => void = () => undefined,
): ValuePerKey<Ids, string, string, number, "get", Ids> {
  return {
    command: (previous = [], _size, _key, id) => {
      happened(id);
      return [previous.length + 1, 1, [...previous, id], 1];
    },
    query: (value) => [value, 1],
  };
}

/** Calls that take longer are worth a line in the trace, in milliseconds. */
const SLOW_MS = 2_000;

/** Why calls may fail while nodes and shards come and go. */
const EXPECTED: readonly string[] = [
  ...["NO_LEADER", "TIMEOUT", "SHARD_TRANSITION_TIMEOUT", "CLOSED", "NOT_ACTIVE", "NO_SUCH_SHARD"],
];

/** See the head of this file. */
export class Calls {
  readonly all: Call[] = [];
  readonly pending = new Set<Call>();
  /** How long the slowest call took that was settled, and how many failed and why. */
  slowest = 0;
  queries = 0;
  readonly failures = new Map<string, number>();
  /** Is told of calls that took long. */
  slow: (call: Call) => void = () => undefined;
  private readonly acknowledged = new Map<string, Set<string>>();
  private readonly time: VirtualTime;

  constructor(time: VirtualTime) {
    this.time = time;
  }

  /** Sends a command; resolves once its outcome is known. */
  async command(
    keyspace: IdKeyspace,
    process: string,
    key: string,
    options?: { readonly timeout: number },
  ): Promise<void> {
    const begun = this.time.now;
    const id = `${process}#${this.all.length}`;
    const call: Call = { id, key, process, begun, outcome: "pending" };
    this.all.push(call);
    this.pending.add(call);
    try {
      await keyspace.command(key, id, options);
      call.outcome = "acknowledged";
      const ofKey = this.acknowledged.get(key) ?? new Set();
      this.acknowledged.set(key, ofKey.add(id));
    } catch (error) {
      call.outcome = this.judged(error) === "not applied" ? "not applied" : "unknown";
    }
    this.pending.delete(call);
    this.slowest = Math.max(this.slowest, this.time.now - begun);
    if (this.time.now - begun > SLOW_MS) this.slow(call);
  }

  /** Asks a key, and judges the answer. */
  async query(keyspace: IdKeyspace, key: string): Promise<Ids | undefined> {
    const before = new Set(this.acknowledged.get(key));
    const begun = this.time.now;
    try {
      const found = (await keyspace.query(key, "get")) ?? [];
      this.queries++;
      checkVisible(key, before, found);
      return found;
    } catch (error) {
      this.judged(error);
      return undefined;
    } finally {
      this.slowest = Math.max(this.slowest, this.time.now - begun);
    }
  }

  /** A process has died: nobody hears what becomes of its calls. */
  died(process: string): void {
    for (const call of this.pending) {
      if (call.process !== process) continue;
      call.outcome = "unknown";
      this.pending.delete(call);
    }
  }

  private judged(error: unknown): string | undefined {
    if (!(error instanceof RaftKVError) || !EXPECTED.includes(error.code)) {
      this.time.fail(error);
      throw error;
    }
    this.failures.set(error.code, (this.failures.get(error.code) ?? 0) + 1);
    return error.outcome;
  }
}
