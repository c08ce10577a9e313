/** Gathers the calls of a turn of the event loop into one batch, as a user of a peer would. */

/** A function whose calls of one turn are handed to `run` together; all resolve or fail with it. */
export function inBatches<Item, Result>(run: (items: Item[]) => Result[] | Promise<Result[]>) {
  let items: Item[] = [];
  let settlers: { resolve(value: Result): void; reject(error: unknown): void }[] = [];
  const flush = async () => {
    const taken = items;
    const waiting = settlers;
    items = [];
    settlers = [];
    try {
      const results = await run(taken);
      for (const [at, result] of results.entries()) waiting[at]?.resolve(result);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  };
  return (item: Item): Promise<Result> =>
    new Promise((resolve, reject) => {
      if (items.length === 0) setImmediate(flush);
      items.push(item);
      settlers.push({ resolve, reject });
    });
}
