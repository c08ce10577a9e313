// The code of the keyspaces that the programs of this folder open.

/** @typedef {{ count: number, ballast: string }} Value */

/**
 * Counts commands; a command brings ballast along, so that logs and snapshots have some size.
 * @type {import("raft-kv").ValuePerKey<Value, string, { ballast: string }, number, "get", number>}
 */
export const counterModule = {
  command: (previous, _size, _key, arg) => {
    const count = (previous?.count ?? 0) + 1;
    return [count, 1, { count, ballast: arg.ballast }, arg.ballast.length];
  },
  query: (value) => [value.count, 1],
};

/** Intervals short enough to see many splits and merges within a second. */
export const QUICK = {
  statsCollectionInterval: 30,
  workflowExecutionInterval: 10,
  shardIneligiblePeriodAfterSplitOrMerge: 30,
};

/**
 * What there is to tell of an error.
 * @param {any} error
 */
export function described({ name, code, action, message, outcome }) {
  return { name, code, action, message, outcome: outcome ?? null };
}

/**
 * An argument of the program.
 * @param {number} position
 */
export function argument(position) {
  return process.argv[position + 2] ?? "";
}

/** @type {import("raft-kv").ValuePerKey<unknown, string, unknown, "ok", "get", unknown>} */
export const mapModule = {
  command: (_previous, _size, _key, arg) => ["ok", 1, arg, 1],
  query: (value) => [value, 1],
};
