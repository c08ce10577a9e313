/** Reads what clients wrote down, and has it judged key by key. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { described, judge } from "../checker/linearizability.ts";
import { counter, register } from "../checker/models.ts";
import type { Action, Operation } from "../checker/operation.ts";

type Line =
  | readonly ["call" | "stale", id: number, at: number, key: string, action: Action]
  | readonly ["ok", id: number, at: number, result: unknown]
  | readonly ["failed" | "unknown", id: number, at: number, code: string];

/** What clients saw of all keys. */
export interface Histories {
  readonly operations: ReadonlyMap<string, Operation[]>;
  /** Queries that may be behind, in the order of their answers, with who was asked. */
  readonly stale: ReadonlyMap<string, Operation[]>;
  /** How many calls were made, and became what. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Reads a file for each node; the processes of one node follow each other in its file. */
export function readHistories(files: readonly string[]): Histories {
  const operations = new Map<string, Operation[]>();
  const stale = new Map<string, Operation[]>();
  const counts: Record<string, number> = { calls: 0 };
  const count = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  for (const [node, file] of files.entries()) {
    for (const { kind, operation, key, outcome } of readFile(file, node)) {
      count("calls");
      count(outcome);
      if (outcome.startsWith("failed")) continue;
      const target = kind === "stale" ? stale : operations;
      const known = operation.end !== Number.POSITIVE_INFINITY;
      if (operation.action.name === "get" && !known) continue;
      const all = target.get(key) ?? [];
      target.set(key, all);
      all.push(operation);
    }
  }
  return { operations, stale, counts };
}

interface Told {
  readonly kind: "call" | "stale";
  readonly key: string;
  readonly operation: Operation;
  readonly outcome: string;
}

function readFile(file: string, node: number): Told[] {
  const told: Told[] = [];
  let open = new Map<number, Extract<Line, readonly ["call" | "stale", ...unknown[]]>>();
  let life = 0;
  const close = (
    [kind, , call, key, action]: readonly ["call" | "stale", number, number, string, Action],
    end: number,
    result: unknown,
    outcome: string,
  ) => {
    const operation = { process: `node ${node}, life ${life}`, call, end, action, result };
    told.push({ kind, key, operation, outcome });
  };
  const killed = () => {
    for (const line of open.values()) close(line, Number.POSITIVE_INFINITY, undefined, "killed");
    open = new Map();
  };
  for (const text of readFileSync(file, "utf8").split("\n").slice(0, -1)) {
    const line = JSON.parse(text) as Line;
    if (line[0] === "call" || line[0] === "stale") {
      // Numbers begin anew with each process.
      if (line[1] === 0) {
        killed();
        life++;
      }
      open.set(line[1], line);
      continue;
    }
    const [outcome, id, at, result] = line;
    const begun = open.get(id);
    if (begun === undefined) throw new Error(`${file}: nobody called ${text}`);
    open.delete(id);
    if (outcome === "ok") close(begun, at, result, "ok");
    else close(begun, Number.POSITIVE_INFINITY, undefined, `${outcome} ${result}`);
  }
  killed();
  return told;
}

/**
 * Judges every key; the operations of one that is at fault go to a file in `directory`. Stale
 * answers of `steady` keyspaces, whose one shard stays where it is, never go back as long as a
 * process lives, and none tells of what was not called yet.
 */
export function judgeAll(
  histories: Histories,
  directory: string,
  steady: readonly string[],
): string[] {
  const faults: string[] = [];
  for (const [key, all] of histories.operations) {
    const isCounter = key.includes("/counter");
    const verdict = isCounter ? judge(counter, all) : judge(register, all);
    if (verdict.linearizable) continue;
    const file = join(directory, `not-linearizable-${key.replace("/", "-")}.txt`);
    const sorted = [...all].sort((a, b) => a.call - b.call);
    writeFileSync(file, sorted.map((one) => `${described(one)}\n`).join(""));
    faults.push(`${key} is not linearizable (${all.length} operations, in ${file}):`);
    faults.push(verdict.fault);
  }
  for (const [key, all] of histories.stale) {
    if (!key.includes("/counter")) continue;
    const isSteady = steady.some((keyspace) => key.startsWith(`${keyspace}/`));
    faults.push(...staleFaults(key, all, histories.operations.get(key) ?? [], isSteady));
  }
  return faults;
}

/** Counters only grow, so what is behind is a lower count. */
function staleFaults(
  key: string,
  queries: readonly Operation[],
  operations: readonly Operation[],
  isSteady: boolean,
): string[] {
  const faults: string[] = [];
  const calls = operations
    .filter(({ action }) => action.name === "add")
    .map(({ call }) => call)
    .sort((a, b) => a - b);
  const answers = [...queries].sort((a, b) => a.end - b.end);
  let called = 0;
  for (const query of answers) {
    while (called < calls.length && (calls[called] as number) <= query.end) called++;
    if ((query.result as number) <= called) continue;
    faults.push(`${key}: ${called} additions were called before ${described(query)}`);
  }
  if (isSteady) faults.push(...backward(key, queries));
  return faults;
}

/** Answers of a process that are lower than one that had come before they were called. */
function backward(key: string, queries: readonly Operation[]): string[] {
  const faults: string[] = [];
  const byProcess = new Map<string, Operation[]>();
  for (const query of queries) {
    const all = byProcess.get(query.process) ?? [];
    byProcess.set(query.process, all);
    all.push(query);
  }
  for (const all of byProcess.values()) {
    const answered = [...all].sort((a, b) => a.end - b.end);
    const called = [...all].sort((a, b) => a.call - b.call);
    let highest: Operation | undefined;
    let at = 0;
    for (const query of called) {
      for (; (answered[at]?.end ?? Number.POSITIVE_INFINITY) < query.call; at++) {
        const one = answered[at] as Operation;
        if (highest === undefined || (one.result as number) > (highest.result as number)) {
          highest = one;
        }
      }
      if (highest === undefined || (query.result as number) >= (highest.result as number)) continue;
      faults.push(`${key}: went back from ${described(highest)} to ${described(query)}`);
    }
  }
  return faults;
}
