/** Groups that nobody uses. */
import { measureIdleGroups } from "../idle-groups.ts";
import type { Workload } from "../suite.ts";

export const idle: Workload = {
  name: "idle",
  title: "idle groups: memory, CPU, time to open",
  run: async ({ directory, extent }) => {
    const { figures } = await measureIdleGroups(directory, extent.idleGroups);
    const { groups, memory, cpuPercent, openSeconds } = figures;
    const measures = [
      { what: `memory of ${groups} idle groups`, unit: "MiB", values: [memory] },
      { what: `CPU of ${groups} idle groups`, unit: "% of a core", values: [cpuPercent] },
      { what: `opening ${groups} groups, all answering`, unit: "s", values: [openSeconds] },
    ];
    return { cases: [], measures };
  },
};
