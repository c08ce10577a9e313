/** Finds the parts of a value that do not come back as they are when the value is copied. */
import { Writer, writeValueLenient } from "../../codec/index.ts";
import { kindOf, objectKind } from "../../codec/kind.ts";
import { addParts } from "../../codec/storable.ts";

/** Parts of one value that are looked at for instances of classes. */
const PARTS_MAX = 10_000;
/** Parts of one value that are told of. */
const TOLD_MAX = 5;

/** What is wrong with parts of a value, in words that begin with the way to the part. */
export function unfaithfulParts(name: string, value: unknown): string[] {
  if (typeof value !== "object" || value === null) {
    const lost = typeof value === "function" || typeof value === "symbol";
    return lost ? [`${name} is ${kindOf(value)}, which cannot be copied`] : [];
  }
  const faults: string[] = [];
  try {
    writeValueLenient(new Writer(), value, (path, kind) => {
      faults.push(`${name}${path} is ${kind}, which cannot be copied`);
    });
    for (const [path, made] of instancesIn(value)) {
      faults.push(`${name}${path} is ${made}, an instance of a class: a copy is a plain object`);
    }
  } catch {
    faults.push(`${name} cannot be read as a whole: a getter or a Proxy throws`);
  }
  return faults.slice(0, TOLD_MAX);
}

/** The ways to instances of a program's own classes; a copy has their properties, not their class. */
function* instancesIn(value: object): Generator<readonly [path: string, kind: string]> {
  const waiting: unknown[] = [value];
  const paths = [""];
  const seen = new Set<unknown>();
  for (let at = 0; at < waiting.length; at++) {
    const part = waiting[at];
    if (typeof part !== "object" || part === null || seen.has(part)) continue;
    seen.add(part);
    const path = paths[at] as string;
    const kind = objectKind(part);
    if (kind === "plain" && isInstance(part)) yield [path, kindOf(part)];
    addParts(part, kind, path, waiting, paths, PARTS_MAX);
  }
}

/** Plain objects of another realm, as test runners have them, are plain: their chain is as short. */
function isInstance(part: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(part);
  return prototype !== null && Object.getPrototypeOf(prototype) !== null;
}
