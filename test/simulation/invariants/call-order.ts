/**
 * Commands of one node on one key that were acknowledged took effect in the order of their calls,
 * also when they were not awaited (`design/architecture.md`, section 8).
 */
import type { Call } from "../calls.ts";

/** `values` has the ids of each key's commands in the order in which they took effect. */
export function checkCallOrder(
  calls: readonly Call[],
  values: ReadonlyMap<string, readonly string[]>,
) {
  const places = new Map([...values.values()].flatMap((ids) => ids.map((id, at) => [id, at])));
  const last = new Map<string, Call>();
  for (const call of calls) {
    if (call.outcome !== "acknowledged") continue;
    const name = `${call.process} ${call.key}`;
    const before = last.get(name);
    last.set(name, call);
    if (before === undefined) continue;
    if ((places.get(before.id) ?? -1) > (places.get(call.id) ?? -1)) {
      throw new Error(`${call.id} on ${call.key} overtook ${before.id}`);
    }
  }
}
