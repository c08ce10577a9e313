/** Waiting for what happens in the background of a test. */
import { pause } from "../../client/pause.ts";
import { RaftKVError } from "../../errors.ts";

const POLL_MS = 10;

/** What is waited for: `undefined`, `null` and `false`, and what throws, are not there yet. */
export type Look<T> = () => Promise<T | undefined | null | false> | T | undefined | null | false;

/**
 * Looks until there is something, and gives it. @throws `TIMEOUT` after `limit` milliseconds, with
 * the last error of `look` as its cause
 */
export async function waitUntil<T>(what: string, look: Look<T>, limit: number): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    let problem: unknown;
    try {
      const found = await look();
      if (found !== undefined && found !== null && found !== false) return found;
    } catch (error) {
      problem = error;
    }
    if (performance.now() > end) {
      const why = problem === undefined ? "" : `; the last look failed: ${problem}`;
      throw new RaftKVError("TIMEOUT", `waited ${limit} ms in vain for ${what}${why}`, {
        cause: problem,
      });
    }
    await pause(POLL_MS);
  }
}
