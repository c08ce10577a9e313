/**
 * What a register and a counter may answer, one operation after another. `step` gives the next
 * state, or undefined when the operation cannot have been answered like that in this state; an
 * unknown operation has no answer to compare.
 */
import { isUnknown, type Operation } from "./operation.ts";

/** A sequential specification of one key. */
export interface Model<State extends string | number | null> {
  readonly first: State;
  step(state: State, operation: Operation): State | undefined;
  /** Can no state that follows this one explain the answer? */
  isPast(state: State, operation: Operation): boolean;
  /**
   * Unknown operations with equal names do the same in every state: the checker then takes the one
   * that was called first, which no other could do better.
   */
  sameAs(operation: Operation): string | undefined;
  /** Says the same of the key with fewer or shorter unknown operations. */
  narrow(operations: readonly Operation[]): readonly Operation[];
}

/**
 * A register that is set, read, and set when it holds what is expected. `compareAndSet` answers
 * what it found, so every answer tells the whole state. The values that are set differ, but null.
 */
export const register: Model<string | null> = {
  first: null,
  step: (state, operation) => {
    const { action, result } = operation;
    if (action.name === "set") return action.value;
    if (action.name === "add") return undefined;
    if (!isUnknown(operation) && result !== state) return undefined;
    if (action.name === "get") return state;
    return state === action.expected ? action.value : state;
  },
  isPast: () => false,
  sameAs: ({ action }) => (action.name === "set" && action.value === null ? "unset" : undefined),
  narrow: (operations) => narrowed(operations),
};

/** A counter: `add` adds one and answers the count. */
export const counter: Model<number> = {
  first: 0,
  step: (state, operation) => {
    const next = operation.action.name === "add" ? state + 1 : state;
    return isUnknown(operation) || operation.result === next ? next : undefined;
  },
  isPast: (state, { action, result }) =>
    (result as number) < (action.name === "add" ? state + 1 : state),
  sameAs: () => "add",
  narrow: (operations) => operations,
};

/**
 * An unknown write whose value nobody saw or waited for is as good as none; one whose value was
 * seen took effect before whoever saw it was answered.
 */
function narrowed(operations: readonly Operation[]): readonly Operation[] {
  const seen = new Map<unknown, number>();
  const expected = new Set<unknown>();
  for (const operation of operations) {
    const { action, result, end } = operation;
    if (action.name === "compareAndSet") expected.add(action.expected);
    if (isUnknown(operation) || action.name === "set") continue;
    seen.set(result, Math.min(end, seen.get(result) ?? Number.POSITIVE_INFINITY));
  }
  return operations.flatMap((operation) => {
    const { action, call } = operation;
    if (!isUnknown(operation)) return [operation];
    // A query that nobody answered did nothing.
    if (action.name !== "set" && action.name !== "compareAndSet") return [];
    if (action.value === null) return [operation];
    const end = seen.get(action.value);
    if (end === undefined) return expected.has(action.value) ? [operation] : [];
    // Seen before it was called: no order explains that, which is left to the search to say.
    if (end < call) return [operation];
    return [{ ...operation, end, result: action.name === "set" ? "ok" : action.expected }];
  });
}
