/** Groups that nobody uses. */
import { measureIdleCluster } from "../idle-cluster.ts";
import { measureIdleGroups } from "../idle-groups.ts";
import type { Measure, Workload } from "../suite.ts";

export const idle: Workload = {
  name: "idle",
  title: "idle groups: memory, CPU, time to open, on one node and on three processes",
  run: async ({ directory, extent }) => {
    const { figures } = await measureIdleGroups(directory, extent.idleGroups);
    const { groups, memory, cpuPercent, openSeconds } = figures;
    const measures: Measure[] = [
      { what: `memory of ${groups} idle groups`, unit: "MiB", values: [memory] },
      { what: `CPU of ${groups} idle groups`, unit: "% of a core", values: [cpuPercent] },
      { what: `opening ${groups} groups, all answering`, unit: "s", values: [openSeconds] },
    ];
    const watchMs = 5000 * extent.seconds;
    const asleep = extent.name !== "tiny";
    const three = await measureIdleCluster(directory, { groups, watchMs, asleep });
    const unit = "% of a core";
    const of = `of a process, ${groups} groups of three replicas on three`;
    measures.push(
      { what: `CPU ${of}, awake`, unit, values: three.awake, goal: 10 },
      { what: `memory ${of}, over an empty node`, unit: "MiB", values: three.memory, goal: 250 },
    );
    if (asleep) measures.push({ what: `CPU ${of}, asleep`, unit, values: three.asleep, goal: 2 });
    return { cases: [], measures };
  },
};
