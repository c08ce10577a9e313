/** What every store that is measured can do, raft-kv, ceilings and peers alike. */
import type { OtherCpu } from "../loop.ts";
import type { Role } from "../suite.ts";

/** How many keys the ordinary workloads touch. */
export const KEYS = 10_000;

/** A store that is open and holds `KEYS` keys. */
export interface Contender {
  readonly name: string;
  readonly role: Role;
  /** Resolves when the write is as durable as this store makes it. */
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
  /** Adds one to a number that is kept under the key, in one step. */
  increment?(key: string): Promise<unknown>;
  readonly otherCpu?: OtherCpu;
  close(): Promise<void>;
}

/** The key of a turn. */
export function keyOf(turn: number): string {
  return `key-${turn % KEYS}`;
}

/** A prime, so that passes over the keys meet other values. */
const VALUES = 997;

/**
 * The next value of a size in bytes, at each call another. A key must not get the value that it has:
 * SQLite neither writes nor syncs a row that stays the same, and would be measured doing nothing.
 */
export function valuesOf(bytes: number): () => string {
  const values = Array.from({ length: VALUES }, (_, at) =>
    String(at).padStart(bytes, "0").slice(-bytes),
  );
  let next = 0;
  return () => values[next++ % VALUES] ?? "";
}

/** Makes every key exist: a get of a missing key is another thing. */
export async function fill(store: Pick<Contender, "set">): Promise<void> {
  await Promise.all(Array.from({ length: KEYS }, (_, at) => store.set(keyOf(at), "filled")));
}

/** Runs with contenders that are closed in every case. */
export async function withContenders<Result>(
  contenders: readonly Contender[],
  run: (contenders: readonly Contender[]) => Promise<Result>,
): Promise<Result> {
  try {
    return await run(contenders);
  } finally {
    await Promise.allSettled(contenders.map((contender) => contender.close()));
  }
}
