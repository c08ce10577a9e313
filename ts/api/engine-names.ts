/** Puts names for the numbers of groups and nodes into what the engine says. */
import type { LogFields } from "../host/log-line.ts";

/** How groups and nodes are called. */
export interface EngineNames {
  group(id: number): string;
  node(id: number): string;
}

/** Fields that hold a node's id, or a list of them; 0 is nobody. */
const NODE_FIELDS: ReadonlySet<string> = new Set([
  ...["node", "peer", "leader", "member", "to", "votesFor"],
  ...["members", "voters"],
]);

/** See the head of this file. */
export function named(fields: LogFields, names: EngineNames): LogFields {
  const node = (id: number) => (id === 0 ? "none" : names.node(id));
  const value = (name: string, given: unknown): unknown => {
    if (name === "group" && typeof given === "number") return names.group(given);
    if (!NODE_FIELDS.has(name)) return given;
    if (typeof given === "number") return node(given);
    return [...String(given).matchAll(/\d+/g)].map(([digits]) => node(Number(digits)));
  };
  return Object.fromEntries(
    Object.entries(fields).map(([name, given]) => [name, value(name, given)]),
  );
}
