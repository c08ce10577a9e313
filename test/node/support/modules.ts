/** The user code that the tests of whole nodes run: small, pure, and easy to check by hand. */
import type { DataModule, ValuePerKey } from "../../../ts/index.ts";

export type MapCommand = { readonly set: unknown } | "unset";

/** The README's map: a value per key that can be set and unset. */
export const mapModule: ValuePerKey<unknown, unknown, MapCommand, "ok", "get", unknown> = {
  command: (_previous, _size, _key, arg) =>
    arg === "unset" ? ["ok", 5, undefined, 0] : ["ok", 5, arg.set, 0],
  query: (value) => [value, 1],
};

/** Counts its commands; each answers the count that it made. */
export const counterModule: ValuePerKey<number, unknown, "add" | "remove", number, "get", number> =
  {
    command: (count = 0, _size, _key, arg) =>
      arg === "remove" ? [0, 1, undefined, 0] : [count + 1, 1, count + 1, 1],
    query: (count) => [count, 1],
  };

/** Takes the numbers 0, 1, 2 ... of a key in that order, and remembers the first that was not. */
export interface Sequence {
  readonly next: number;
  readonly firstWrong: number | null;
}

export const sequenceModule: ValuePerKey<Sequence, unknown, number, number, "get", Sequence> = {
  command: (previous, _size, _key, number) => {
    const { next, firstWrong } = previous ?? { next: 0, firstWrong: null };
    const wrong = firstWrong ?? (number === next ? null : number);
    return [next, 1, { next: next + 1, firstWrong: wrong }, 1];
  },
  query: (value) => [value, 1],
};

/** A register as a consensus group of its own. */
export const registerModule: DataModule<unknown, { write: unknown }, unknown, "read", unknown> = {
  init: () => "empty",
  command: (state, { write }) => [state, write],
  query: (state) => state,
};
