/**
 * Judges what a node says of itself when it wants to be let in. The fleet's state is replicated, so
 * nothing may get into it that other nodes cannot work with.
 */
import {
  ADDRESS_LENGTH_MAX,
  GROUP_NAME_LENGTH_MAX,
  MODULES_PER_NODE_MAX,
  VERSION_LENGTH_MAX,
  ZONE_NAME_LENGTH_MAX,
} from "../limits.ts";
import type { JoiningNode } from "./commands.ts";

/** Who calls, as its stream has proved. */
export interface Applicant {
  readonly node: number;
  readonly incarnation: number;
}

/** What is wrong with a description that `from` gave of itself, or `null`. */
export function faultOfJoining(description: unknown, from: Applicant): string | null {
  if (typeof description !== "object" || description === null) return "it does not say who it is";
  const { id, name, zone, address, version, incarnation, modules } = description as Partial<
    Record<keyof JoiningNode, unknown>
  >;
  if (id !== from.node || incarnation !== from.incarnation) return "it is another node";
  if (!isText(name, GROUP_NAME_LENGTH_MAX)) return "its name is none";
  if (!isText(zone, ZONE_NAME_LENGTH_MAX)) return "its zone is none";
  if (!isText(version, VERSION_LENGTH_MAX)) return "its version is none";
  if (!isText(address, ADDRESS_LENGTH_MAX)) return "its address is none";
  if (!Array.isArray(modules) || modules.length > MODULES_PER_NODE_MAX) return "it has no modules";
  return modules.every((module) => isText(module, GROUP_NAME_LENGTH_MAX))
    ? null
    : "one of its modules has no name";
}

/** The description of a node without anything that does not belong there. */
export function joiningNode(description: JoiningNode): JoiningNode {
  const { id, name, zone, address, version, incarnation, modules } = description;
  return { id, name, zone, address, version, incarnation, modules };
}

/** Is it a text that is not empty and not longer than that? */
export function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= lengthMax;
}
