/** Calls the user's `query` and checks what it returns. */
import { copyValue, isPrimitive } from "../codec/index.ts";
import { Refusal } from "../machine/machine.ts";
import { faultyAmount, isAmount } from "./command.ts";
import { describeKey, describeThrown, describeValue, ignoreRejection } from "./describe.ts";
import type { ShardEntry } from "./entry.ts";
import type { CommandContext, ValuePerKey } from "./module.ts";
import type { ShardObserver } from "./observer.ts";

/** Queries are not replicated: theirs are the time and chance of the node that answers. */
const QUERY_CONTEXT: CommandContext = {
  get now(): number {
    return Date.now();
  },
  random: () => Math.random(),
};

/** Where a query's load is counted. */
export interface LoadCounter {
  load: number;
}

/** By itself: asking whether something is a promise costs as much as the rest of an answer. */
function copied(ret: unknown): unknown {
  ignoreRejection(ret);
  return copyValue(ret);
}

/** Answers a query from an entry: the result, not shared with the state, or a refusal. */
export function answerQuery(
  keyspace: string,
  module: ValuePerKey,
  counter: LoadCounter,
  entry: Pick<ShardEntry, "key" | "value" | "size">,
  argument: unknown,
  observer: ShardObserver | null,
): unknown {
  let fault: string;
  try {
    const { value, size, key } = entry;
    const outcome: unknown = module.query(value, size, key, argument, QUERY_CONTEXT);
    if (Array.isArray(outcome) && outcome.length === 2) {
      const ret: unknown = outcome[0];
      const load: unknown = outcome[1];
      if (isAmount(load)) {
        const copy = isPrimitive(ret) ? ret : copied(ret);
        counter.load += load;
        observer?.answered?.(value, size, key, argument, ret);
        return copy;
      }
      fault = faultyAmount("load", load);
    } else {
      ignoreRejection(outcome);
      fault = `it must return [ret, load], not ${describeValue(outcome)}`;
    }
  } catch (thrown) {
    ignoreRejection(thrown);
    fault = describeThrown(thrown);
  }
  const name = `query of keyspace ${JSON.stringify(keyspace)} on key ${describeKey(entry.key)}`;
  return new Refusal("QUERY_FAILED", `${name}: ${fault}`);
}
