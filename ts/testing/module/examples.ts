/** What a module is checked with: keys, and arguments that are listed or made by a function. */
import { type keyIdentity, Writer, writeKey } from "../../codec/index.ts";
import { RaftKVError } from "../../errors.ts";
import type { LeaderHook } from "../../shard/module.ts";

/** Arguments in their order, or a function that makes one from numbers of 0 up to 1. */
export type Examples<T> = Iterable<T> | ((random: () => number) => T);

/** What a module is checked with. */
export interface ModuleExamples<
  Value = unknown,
  Key = unknown,
  Command = unknown,
  Ret = unknown,
  Query = unknown,
  QueryRet = unknown,
> {
  /** Arguments of commands; each is run on every key, one after the other as on a shard. */
  readonly commands: Examples<Command>;
  /** Arguments of queries, asked after each command; made ones one at a time. Default: none. */
  readonly queries?: Examples<Query> | undefined;
  /** Default: the key "a". */
  readonly keys?: Iterable<Key> | undefined;
  /** Called with each outcome, and checked as well. Default: none. */
  readonly hook?: LeaderHook<Value, Key, Command, Ret, Query, QueryRet> | null | undefined;
  /** How many arguments of commands are made, where a function makes them. Default 200. */
  readonly count?: number | undefined;
  /** What `context.random`, and functions that make arguments, begin from. Default 1. */
  readonly seed?: number | undefined;
  /**
   * Whether a command may change the previous value in place. It may, and then its hook gets the
   * changed value as the one before: "reported" tells of it. Default "allowed".
   */
  readonly inPlace?: "allowed" | "reported" | undefined;
}

/** Examples that were judged. */
export interface JudgedExamples {
  readonly keys: readonly unknown[];
  readonly commands: readonly unknown[];
  /** The arguments of the queries that follow the next command. */
  readonly queries: () => readonly unknown[];
  readonly hook: LeaderHook | null;
  readonly seed: number;
  readonly inPlace: "allowed" | "reported";
}

const COUNT = 200;
const EXAMPLES_MAX = 10_000;
const SEED_MAX = 0xffff_ffff;

/** Judges what a module is to be checked with. @throws `INVALID_ARGUMENT`, `INVALID_KEY` */
export function judgeExamples(given: unknown): JudgedExamples {
  const examples = record(given);
  const seed = whole("seed", examples.seed ?? 1, 0, SEED_MAX);
  const count = whole("count", examples.count ?? COUNT, 1, EXAMPLES_MAX);
  const random = numbersFrom(seed);
  const { commands, queries, hook, inPlace = "allowed" } = examples;
  const madeBy = typeof commands === "function" ? commands : null;
  const made = madeBy && Array.from({ length: count }, (): unknown => madeBy(random));
  const asked =
    queries === undefined || typeof queries === "function" ? [] : listed("queries", queries);
  if (inPlace !== "allowed" && inPlace !== "reported") {
    throw wrong('inPlace has to be "allowed" or "reported"');
  }
  return {
    keys: examples.keys === undefined ? ["a"] : listed("keys", examples.keys).map(checkKey),
    commands: made ?? listed("commands", commands),
    queries: typeof queries === "function" ? () => [queries(random)] : () => asked,
    hook: (hook ?? null) as LeaderHook | null,
    ...{ seed, inPlace },
  };
}

function record(given: unknown): Partial<Record<keyof ModuleExamples, unknown>> {
  if (typeof given === "object" && given !== null) return given;
  throw wrong("give what to check the module with, such as { commands: [...], queries: [...] }");
}

function listed(name: string, items: unknown): unknown[] {
  const iterable = typeof items === "object" && items !== null && Symbol.iterator in items;
  if (!iterable) throw wrong(`${name} has to be an array, or a function that makes one of them`);
  const list: unknown[] = [];
  for (const item of items as Iterable<unknown>) {
    if (list.length === EXAMPLES_MAX) throw wrong(`${name} are more than ${EXAMPLES_MAX}`);
    list.push(item);
  }
  return list;
}

function checkKey(key: unknown): unknown {
  writeKey(new Writer(), key as Parameters<typeof keyIdentity>[0]);
  return key;
}

function whole(name: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number;
  }
  throw wrong(`${name} has to be a whole number from ${least} to ${most}`);
}

function wrong(message: string): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", `The module cannot be checked: ${message}.`);
}

/** Numbers of 0 up to 1 that follow from a seed (mulberry32). */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
