/** A shard of many keys is split, and merged again, under load. */
import { join } from "node:path";
import { measureSplit } from "../split-pause.ts";
import type { Workload } from "../suite.ts";

export const split: Workload = {
  name: "split",
  title: "split and merge under 64 clients: the longest wait of any call",
  run: async ({ directory, extent }) => {
    const { figures } = await measureSplit(join(directory, "node"), extent.splitKeys);
    const { keys, calm, split, merge } = figures;
    const one = (what: string, unit: string, value: number) => ({ what, unit, values: [value] });
    const measures = [
      { ...one(`longest wait in a split of ${keys} keys`, "ms", split.wait), goal: 10 },
      one(`longest wait in a merge of ${keys} keys`, "ms", merge.wait),
      one("longest wait without either", "ms", calm),
      one("range closed in the split", "ms", split.pause),
      one("range closed in the merge", "ms", merge.pause),
      one("the split in all", "s", split.seconds),
      one("the merge in all", "s", merge.seconds),
    ];
    return { cases: [], measures };
  },
};
