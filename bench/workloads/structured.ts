/** A small change of a Map of 100 KiB beside the same change of a small one. */
import { join } from "node:path";
import { createNode, SplitMergePolicy, type ValuePerKey } from "raft-kv";
import { type Case, runCase, type Workload } from "../suite.ts";

type Change = { fill: number } | { entry: number; text: string };

const TEXT_BYTES = 64;

const maps: ValuePerKey<Map<number, string>, string, Change, number, null, number> = {
  command: (previous, _size, _key, change) => {
    const map = previous ?? new Map<number, string>();
    if ("fill" in change) {
      for (let at = 0; at < change.fill; at++) map.set(at, String(at).padStart(TEXT_BYTES, "0"));
    } else map.set(change.entry, change.text);
    return [map.size, 1, map, 0];
  },
  query: (value) => [value.size, 1],
};

export const structured: Workload = {
  name: "structured",
  title: "a small change of a large structured value (compared with a small value)",
  run: async (context) => {
    const node = createNode({ dataDir: join(context.directory, "store") });
    try {
      await node.fleet.activate("bench");
      await node.kv.init();
      const policy = new SplitMergePolicy({ maxShards: 1 });
      const keyspace = await node.kv.openKeyspace("maps", maps, null, policy);
      const small = 16;
      const large = (100 * 1024) / TEXT_BYTES;
      await keyspace.command("small", { fill: small });
      await keyspace.command("large", { fill: large });
      const runner = (key: string, name: string) => ({
        name,
        role: "raft-kv" as const,
        operation: (turn: number) =>
          keyspace.command(key, {
            entry: turn % small,
            text: String(turn).padStart(TEXT_BYTES, "0"),
          }),
      });
      const runners = [runner("large", "Map of 100 KiB"), runner("small", "Map of 1 KiB")];
      const cases: Case[] = [];
      for (const clients of context.extent.clients) {
        const what = { what: "change of one entry", clients, bytes: TEXT_BYTES };
        cases.push(await runCase(context, what, runners));
      }
      return { cases, measures: [] };
    } finally {
      await node.close();
    }
  },
};
