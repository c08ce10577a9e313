/** What the judges of options and arguments share: how a wrong one is reported. */

import { kindOf } from "../codec/kind.ts";
import { type ErrorCode, RaftKVError } from "../errors.ts";
import { nearestName } from "../names.ts";

const SHOWN_LENGTH_MAX = 80;

/** Whether a value is an object whose properties can be looked at. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as it stands in a message: short, and never a secret of many lines. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string": {
      const line = value.split("\n", 1)[0] ?? "";
      const short = line.slice(0, SHOWN_LENGTH_MAX);
      return JSON.stringify(short.length < value.length ? `${short}...` : short);
    }
    case "number":
    case "boolean":
    case "bigint":
      return String(value);
    default:
      return kindOf(value);
  }
}

/** The error for an option that has a value it cannot have. */
export function invalidOption(name: string, value: unknown, allowed: string): RaftKVError {
  return new RaftKVError("INVALID_OPTION", `${name} is ${shown(value)}, but has to be ${allowed}.`);
}

/** Judges what a program gave; what cannot even be read is refused like what is wrong. */
export function judged<T>(code: ErrorCode, what: string, judge: () => T): T {
  try {
    return judge();
  } catch (cause) {
    if (cause instanceof RaftKVError) throw cause;
    throw new RaftKVError(code, `${what} cannot be read: a getter or a Proxy throws.`, { cause });
  }
}

/** Refuses names that are not known: a misspelt option would otherwise do nothing, in silence. */
export function checkNames(what: string, given: object, known: readonly string[]): void {
  for (const [name, value] of Object.entries(given)) {
    if (known.includes(name) || value === undefined) continue;
    const near = nearestName(name, known);
    const hint =
      near === null
        ? `The ${what}s are: ${known.join(", ")}.`
        : `Is ${JSON.stringify(near)} meant?`;
    throw new RaftKVError("INVALID_OPTION", `There is no ${what} named ${shown(name)}. ${hint}`);
  }
}
