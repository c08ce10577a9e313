/**
 * Every call settles in bounded time, whatever happens to other nodes; only those of a process that
 * has died do not (`design/architecture.md`, guarantee 5; `api/call.ts` has the settings).
 */
import type { Call } from "../calls.ts";

/**
 * Milliseconds: an attempt takes the time limit, or the refusals and pauses within it, and there
 * are four; a range that moves adds its own pauses; the last answer may be one retry late.
 */
export const CALL_MS_MAX = 15_000;

export function checkBoundedTime(calls: Iterable<Call>, now: number): void {
  for (const { id, key, outcome, begun } of calls) {
    if (outcome !== "pending" || now - begun <= CALL_MS_MAX) continue;
    throw new Error(`${id} on ${key} is not settled after ${Math.round(now - begun)} ms`);
  }
}
