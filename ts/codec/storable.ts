/** A quick look at what user code returned, at a cost that does not grow with the value. */

import { STORABLE_PARTS_CHECKED } from "../limits.ts";
import { nameInPath } from "./encoder.ts";
import { kindOf, objectKind } from "./kind.ts";

/**
 * Looks at the first parts of a value, outermost first, for one that cannot be stored, and returns
 * where it is and what it is; else `null`. Parts further on are not looked at.
 */
export function checkStorable(value: unknown): string | null {
  if (typeof value !== "object") {
    return typeof value === "function" || typeof value === "symbol"
      ? `the value is ${kindOf(value)}`
      : null;
  }
  if (value === null) return null;
  const waiting: unknown[] = [value];
  const paths: string[] = [""];
  try {
    for (let i = 0; i < waiting.length; i++) {
      const part = waiting[i];
      const path = paths[i] as string;
      const kind = typeof part === "object" && part !== null ? objectKind(part) : null;
      if (kind === "unclonable" || typeof part === "function" || typeof part === "symbol") {
        return `the value${path} is ${kindOf(part)}`;
      }
      if (kind !== null) addParts(part as object, kind, path, waiting, paths);
    }
  } catch {
    return "the value cannot be read: a getter or a Proxy throws";
  }
  return null;
}

/** Adds the parts of an object of a kind, and the ways to them, until there are so many. */
export function addParts(
  part: object,
  kind: string,
  path: string,
  waiting: unknown[],
  paths: string[],
  partsMax = STORABLE_PARTS_CHECKED,
): void {
  const room = () => waiting.length < partsMax;
  const add = (inner: unknown, step: string) => {
    waiting.push(inner);
    paths.push(path + step);
  };
  if (kind === "array") {
    const items = part as readonly unknown[];
    for (let i = 0; i < items.length && room(); i++) add(items[i], `[${i}]`);
  } else if (kind === "map") {
    let i = 0;
    for (const [key, value] of part as Map<unknown, unknown>) {
      if (!room()) return;
      add(key, `<key ${i}>`);
      add(value, `<value ${i++}>`);
    }
  } else if (kind === "set") {
    let i = 0;
    for (const member of part as Set<unknown>) {
      if (!room()) return;
      add(member, `<member ${i++}>`);
    }
  } else if (kind === "plain") {
    for (const name in part) {
      if (!room()) return;
      if (Object.hasOwn(part, name)) add(Reflect.get(part, name), nameInPath(name));
    }
  }
}
