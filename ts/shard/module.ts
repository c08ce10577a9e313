/**
 * What a user writes: the code of a keyspace (`ValuePerKey`) and side effects (`LeaderHook`).
 *
 * All callbacks are plain synchronous functions. Those of `ValuePerKey` run on every replica and
 * must be pure: the same arguments give the same result, nothing else is touched.
 */

/** Time and chance that come with a log entry: the same on every replica. */
export interface CommandContext {
  /** Milliseconds since 1970, never going back within a shard. */
  readonly now: number;
  /** The next number of a generator seeded by the entry, 0 <= n < 1. */
  random(): number;
}

/** What a command returns: its result, its load, the key's next value and that value's size. */
export type CommandOutcome<Value, Ret> = readonly [
  ret: Ret,
  load: number,
  next: Value | undefined,
  nextSize: number,
];

/** What a query returns: its result and its load. */
export type QueryOutcome<QueryRet> = readonly [ret: QueryRet, load: number];

/** The code of a keyspace: what commands and queries do to the value of one key. */
export interface ValuePerKey<
  Value = unknown,
  Key = unknown,
  Command = unknown,
  Ret = unknown,
  Query = unknown,
  QueryRet = unknown,
> {
  /**
   * Computes a key's next value. `previous` is `undefined` and `size` 0 for a key that does not
   * exist; `undefined` as the next value removes the key. Sizes and loads are in the user's units.
   */
  command(
    previous: Value | undefined,
    size: number,
    key: Key,
    arg: Command,
    context: CommandContext,
  ): CommandOutcome<Value, Ret>;
  /** Reads a key's value; not called for a key that does not exist. */
  query(
    value: Value,
    size: number,
    key: Key,
    arg: Query,
    context: CommandContext,
  ): QueryOutcome<QueryRet>;
}

/** Side effects, called on the shard's leader only, at least once each around leader changes. */
export interface LeaderHook<
  Value = unknown,
  Key = unknown,
  Command = unknown,
  Ret = unknown,
  Query = unknown,
  QueryRet = unknown,
> {
  /** A command was committed. `ret` is `undefined` for a command on all keys of a shard. */
  onCommandCommitted?(
    before: Value | undefined,
    sizeBefore: number,
    key: Key,
    arg: Command,
    ret: Ret | undefined,
    after: Value | undefined,
    sizeAfter: number,
  ): void;
  /** A query was answered from a key's value. */
  onQueryAnswered?(value: Value, size: number, key: Key, arg: Query, ret: QueryRet): void;
}
