/** Results as plain values, for snapshots and for what shards hand to each other. */
import type { Result, RetainedResult } from "./machine.ts";
import { EncodedResult, Refusal, type RefusalCode } from "./machine.ts";

/** A result as a value that the codec takes: [0, value], [1, bytes] or [2, code, message, group]. */
export type PackedResult =
  | readonly [0, unknown]
  | readonly [1, Uint8Array]
  | readonly [2, RefusalCode, string, number | undefined];

/** A retained result as plain values: node, incarnation, request, hash, result. */
export type PackedRetainedResult = readonly [number, number, number, number, PackedResult];

/** The plain form of a result. */
export function packResult(result: Result): PackedResult {
  if (result instanceof EncodedResult) return [1, result.bytes];
  if (result instanceof Refusal) return [2, result.code, result.message, result.group];
  return [0, result];
}

/** The result of a plain form. */
export function unpackResult(packed: PackedResult): Result {
  if (packed[0] === 1) return new EncodedResult(packed[1]);
  if (packed[0] === 2) return new Refusal(packed[1], packed[2], packed[3]);
  return packed[1] as Result;
}

/** The plain form of a retained result. */
export function packRetained(kept: RetainedResult): PackedRetainedResult {
  return [kept.node, kept.incarnation, kept.request, kept.hash, packResult(kept.result)];
}

/** The retained result of a plain form. */
export function unpackRetained(packed: PackedRetainedResult): RetainedResult {
  const [node, incarnation, request, hash, result] = packed;
  return { node, incarnation, request, hash, result: unpackResult(result) };
}
