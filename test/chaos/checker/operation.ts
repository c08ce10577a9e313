/** What clients did to one key, as the checker of linearizability takes it. */

/** One call of a client. Times are nanoseconds of a clock that all processes share. */
export interface Operation {
  /** Which process made the call, for people. */
  readonly process: string;
  readonly call: number;
  /** When it was answered; infinite when nobody knows whether and when it took effect. */
  readonly end: number;
  readonly action: Action;
  /** What was answered; undefined when the outcome is unknown. */
  readonly result: unknown;
}

/** What is done to a register or to a counter. A register that is not set holds null. */
export type Action =
  | { readonly name: "get" }
  | { readonly name: "set"; readonly value: string | null }
  | { readonly name: "compareAndSet"; readonly expected: string | null; readonly value: string }
  | { readonly name: "add" };

/** Is it unknown whether it took effect? Such an operation may come at any time, or never. */
export function isUnknown(operation: Operation): boolean {
  return operation.end === Number.POSITIVE_INFINITY;
}
