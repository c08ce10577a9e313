/** Every workload of the suite, in the order in which they run. */
import type { Workload } from "./suite.ts";
import { cluster, failover } from "./workloads/cluster.ts";
import { idle } from "./workloads/idle.ts";
import { manyKeys } from "./workloads/many-keys.ts";
import { gets, mixed, sets, updates } from "./workloads/registers.ts";
import { shards } from "./workloads/shards.ts";
import { split } from "./workloads/split.ts";
import { splits } from "./workloads/splits.ts";
import { structured } from "./workloads/structured.ts";

export const WORKLOADS: readonly Workload[] = [
  ...[sets, gets, mixed, updates, structured, shards, manyKeys, split, splits],
  ...[cluster, failover, idle],
];

/** The workloads of some names, in the suite's order; throws on a name that is none. */
export function workloadsOf(names: readonly string[]): Workload[] {
  const unknown = names.filter((name) => !WORKLOADS.some((workload) => workload.name === name));
  if (unknown.length > 0) throw new Error(`no such workload: ${unknown.join(", ")}`);
  return WORKLOADS.filter(({ name }) => names.includes(name));
}
