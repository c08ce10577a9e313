/**
 * The value of a key is what the commands on it made of it: all that were acknowledged, at most
 * those of unknown outcome besides, each once (`design/architecture.md`, guarantees 1 and 2).
 */
import type { Call } from "../calls.ts";

/** `values` has what a linearizable query found, when nothing is under way any more. */
export function checkCounts(
  calls: readonly Call[],
  values: ReadonlyMap<string, readonly string[]>,
) {
  for (const [key, found] of values) {
    const ofKey = calls.filter((call) => call.key === key);
    const known = new Set(ofKey.map(({ id }) => id));
    const seen = new Set(found);
    if (seen.size !== found.length) throw new Error(`${key} has a command twice: ${found.join()}`);
    for (const id of seen)
      if (!known.has(id)) throw new Error(`${key} has ${id}, which nobody sent`);
    for (const { id, outcome } of ofKey) {
      if (outcome === "acknowledged" && !seen.has(id)) throw new Error(`${key} lacks ${id}`);
      if (outcome === "not applied" && seen.has(id))
        throw new Error(`${key} has ${id}: not applied`);
    }
  }
}
