/** What groups cost that nobody uses: time to open, memory, CPU. */
import { join } from "node:path";
import { createNode, type DataModule } from "raft-kv";

/** What the groups run. */
export const counter: DataModule<number, number, number, null, number> = {
  init: () => 0,
  command: (state, arg) => [state + arg, state + arg],
  query: (state) => state,
};

const WATCH_MS = 5000;
/** Groups that are added, or used, at the same time. */
const AT_ONCE = 50;

/** Names of so many groups. */
export function groupNames(groups: number): string[] {
  return Array.from({ length: groups }, (_, at) => `group-${at}`);
}

/** Does something with each group, with some at the same time. */
export async function inTurns(
  names: readonly string[],
  work: (name: string) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < names.length; at += AT_ONCE) {
    await Promise.all(names.slice(at, at + AT_ONCE).map(work));
  }
}

function megabytes(bytes: number): number {
  return bytes / 1024 / 1024;
}

/** Opens a node with many groups on a directory, and watches it do nothing. */
export async function measureIdleGroups(directory: string, groups: number) {
  const dataDir = join(directory, "idle");
  const names = groupNames(groups);
  const before = process.memoryUsage().rss;
  const first = createNode({ dataDir });
  await first.fleet.activate("bench");
  const empty = process.memoryUsage().rss;
  await inTurns(names, (name) => first.fleet.addConsensusGroup(name, 3, { module: counter }));
  const memory = megabytes(process.memoryUsage().rss - empty);
  const cpu = process.cpuUsage();
  const watched = performance.now();
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  const { user, system } = process.cpuUsage(cpu);
  const cpuPercent = ((user + system) / 1000 / (performance.now() - watched)) * 100;
  await first.close();

  const second = createNode({ dataDir });
  for (const name of names) second.fleet.bindGroupModule(name, counter);
  const started = performance.now();
  await second.fleet.activate("bench");
  await Promise.all(names.map((name) => second.fleet.query(name, null)));
  const openSeconds = (performance.now() - started) / 1000;
  await second.close();
  const figures = { groups, openSeconds, memory, cpuPercent, before: megabytes(before) };
  const text =
    `${groups} idle groups: ${memory.toFixed(0)} MiB more than an empty node, ` +
    `${cpuPercent.toFixed(2)} % of a core, opened again and answering in ${openSeconds.toFixed(2)} s`;
  return { figures, text };
}
