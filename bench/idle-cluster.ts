/** What groups of three replicas on three processes cost that nobody uses: awake, and asleep. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Member } from "./contenders/cluster.ts";
import { freePorts } from "./contenders/peers.ts";

/** Groups that were used go on being awake for ten seconds: the engine's `SLEEP_AFTER`. */
const ASLEEP_AFTER_MS = 13_000;
/** What the use of the groups leaves behind is over, and they rest, in milliseconds. */
const CALM_MS = 2500;

/** CPU of one process over some time, in percent of a core. */
export interface IdleClusterFigures {
  readonly awake: readonly number[];
  /** Empty where it was not waited for. */
  readonly asleep: readonly number[];
  /** MiB more than the empty nodes. */
  readonly memory: readonly number[];
}

/** Three processes with groups that each have a replica in all of them; each watched for a while. */
export async function measureIdleCluster(
  directory: string,
  { groups, watchMs, asleep }: { groups: number; watchMs: number; asleep: boolean },
): Promise<IdleClusterFigures> {
  const seeds = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
  const members = seeds.map((listen, at) => {
    return new Member({ dataDir: join(directory, `idle-${at}`), listen, seeds });
  });
  const askAll = async (call: "cpu" | "memory") => {
    return (await Promise.all(members.map((member) => member.ask({ call })))).map(Number);
  };
  const watch = async () => {
    const [before, start] = [await askAll("cpu"), performance.now()];
    await sleep(watchMs);
    const [after, end] = [await askAll("cpu"), performance.now()];
    return after.map((used, at) => (used - (before[at] ?? 0)) / 10 / (end - start));
  };
  try {
    await Promise.all(members.map((member) => member.start([])));
    await Promise.all(members.map((member) => member.ask({ call: "bindGroups", groups })));
    const empty = await askAll("memory");
    await members[0]?.ask({ call: "addGroups", groups });
    const used = await askAll("memory");
    const memory = used.map((bytes, at) => (bytes - (empty[at] ?? 0)) / 1024 / 1024);
    await members[0]?.ask({ call: "useGroups", groups });
    await sleep(CALM_MS);
    const awake = await watch();
    if (!asleep) return { awake, asleep: [], memory };
    await sleep(ASLEEP_AFTER_MS);
    return { awake, asleep: await watch(), memory };
  } finally {
    await Promise.all(members.map((member) => member.kill()));
  }
}
