// What the program of a cluster's node can be asked to suffer.

/** Rejections that nobody handled. */
let unhandled = 0;
process.on("unhandledRejection", () => unhandled++);

/**
 * @param {any} node
 * @returns {Record<string, (...args: any[]) => unknown>}
 */
export function overloadCalls(node) {
  return {
    /** Makes so many calls in one go; how many ended how, and how long it took until all had. */
    flood: async ({ keyspace, calls, query, options }) => {
      const outcomes = {};
      const note = (name) => {
        outcomes[name] = (outcomes[name] ?? 0) + 1;
      };
      const all = [];
      for (let call = 0; call < calls; call++) {
        const key = `key-${call % 1000}`;
        const made = query
          ? node.kv.query(keyspace, key, "get", options)
          : node.kv.command(keyspace, key, { ballast: "" }, options);
        all.push(
          made.then(
            () => note("ok"),
            (error) => note(`${error.code} ${error.outcome}`),
          ),
        );
      }
      await Promise.all(all);
      return outcomes;
    },
    /** Makes commands with so many bytes each, a few at a time. */
    pour: async ({ keyspace, commands, bytes, options }) => {
      const ballast = "x".repeat(bytes);
      let next = 0;
      const pourer = async () => {
        while (next < commands) {
          await node.kv.command(keyspace, `key-${next++ % 10}`, { ballast }, options);
        }
      };
      await Promise.all(Array.from({ length: 16 }, pourer));
    },
    /** Keeps the event loop busy for so long, right after the answer to this. */
    block: (milliseconds) => {
      setImmediate(() => {
        const end = performance.now() + milliseconds;
        while (performance.now() < end);
      });
    },
    /** Megabytes that the process takes, and what nobody handled. */
    standing: () => {
      global.gc?.();
      return { megabytes: Math.round(process.memoryUsage().rss / 2 ** 20), unhandled };
    },
  };
}
