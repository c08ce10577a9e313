/** Retry results as plain data, for certificates and snapshots. */
import type { RefusalCode, Result, RetainedResult } from "../machine/machine.ts";
import { EncodedResult, Refusal } from "../machine/machine.ts";
import type { ResultImage } from "./requests.ts";

/** A retained result as plain data. */
export function resultImage({
  node,
  incarnation,
  request,
  hash,
  result,
}: RetainedResult): ResultImage {
  const origin = { node, incarnation, request, hash };
  if (result instanceof Refusal) {
    const { code, message, group } = result;
    return { ...origin, kind: "refusal", value: [code, message, group] };
  }
  if (result instanceof EncodedResult) return { ...origin, kind: "encoded", value: result.bytes };
  return { ...origin, kind: "plain", value: result };
}

/** Undoes `resultImage`. */
export function retainedResult({ kind, value, ...origin }: ResultImage): RetainedResult {
  const { node, incarnation, request, hash } = origin;
  return { node, incarnation, request, hash, result: resultOf(kind, value) };
}

function resultOf(kind: ResultImage["kind"], value: unknown): Result {
  if (kind === "encoded") return new EncodedResult(value as Uint8Array);
  if (kind === "plain") return value as Result;
  const [code, message, group] = value as [RefusalCode, string, number | undefined];
  return new Refusal(code, message, group);
}
