/** What is to be reached, as ratios of the first line of a case to another of the same run. */
import { ratioOf } from "./statistics.ts";
import type { Case, Entry, Result } from "./suite.ts";

/** A ratio that is to be reached in one case of a workload. */
export interface RatioGoal {
  readonly workload: string;
  readonly what: string;
  readonly clients: number;
  /** The entry that raft-kv is compared with. */
  readonly other: string;
  /** At least this. */
  readonly ratio: number;
}

/** Goals hold for values of this size. */
const BYTES = 5;

function goals(
  workload: string,
  what: string,
  others: Readonly<Record<string, Readonly<Record<number, number>>>>,
): RatioGoal[] {
  return Object.entries(others).flatMap(([other, byClients]) =>
    Object.entries(byClients).map(([clients, ratio]) => {
      return { workload, what, clients: Number(clients), other, ratio };
    }),
  );
}

/** Every goal that is a ratio; those that are times stand with what is measured. */
export const RATIO_GOALS: readonly RatioGoal[] = [
  ...goals("gets", "get", {
    Map: { 1024: 0.7 },
    lmdb: { 1024: 2 },
    "Redis always": { 1024: 15 },
  }),
  ...goals("sets", "set", {
    "write + fdatasync": { 1: 0.8 },
    lmdb: { 64: 1.5, 1024: 2.5 },
    "Redis always": { 1024: 7 },
  }),
  ...goals("cluster", "set", { "etcd, 3 members": { 1: 3, 64: 20, 1024: 60 } }),
];

/** The goal that an entry of a case is measured by, if there is one. */
export function goalOf(workload: string, one: Case, { name }: Entry): RatioGoal | undefined {
  if (one.bytes !== BYTES) return undefined;
  return RATIO_GOALS.find(
    (goal) =>
      goal.workload === workload &&
      goal.what === one.what &&
      goal.clients === one.clients &&
      goal.other === name,
  );
}

/** A goal, and how far the run came. */
export interface Reached {
  /** What is measured, with its unit where it has one. */
  readonly what: string;
  readonly goal: string;
  readonly value: number;
  readonly unit: string;
  readonly isReached: boolean;
}

/** Every goal that the run has figures for. A time has to be reached by its median round. */
export function reached(results: readonly Result[]): Reached[] {
  return results.flatMap(({ workload, outcome }) => [
    ...outcome.cases.flatMap((one) => ofCase(workload, one)),
    ...outcome.measures.flatMap(({ what, unit, values, goal }) => {
      const value = [...values].sort((a, b) => a - b)[values.length >> 1];
      if (goal === undefined || value === undefined) return [];
      return [{ what, goal: `<= ${goal} ${unit}`, value, unit, isReached: value <= goal }];
    }),
  ]);
}

function ofCase(workload: string, one: Case): Reached[] {
  const [own] = one.entries;
  return one.entries.flatMap((entry) => {
    const goal = goalOf(workload, one, entry);
    const value = own === undefined ? null : ratioOf(own.summary, entry.summary);
    if (goal === undefined || value === null) return [];
    const what = `${one.what}, ${one.clients} clients, to ${entry.name}`;
    const isReached = value >= goal.ratio;
    return [{ what, goal: `>= ${goal.ratio}`, value, unit: "", isReached }];
  });
}
