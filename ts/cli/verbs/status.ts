/** `raft-kv status` */
import type { StatusView } from "../../admin/types.ts";
import { count, of, short } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

export const status: Verb = {
  name: "status",
  parameters: "",
  summary: "the cluster at a glance, and what is wrong",
  details: "Ends with 3 when a node is out of reach or a group has no leader.",
  async run({ server, screen, json }) {
    const view = await server.call<StatusView>("status");
    const code = view.healthy ? EXIT.good : EXIT.degraded;
    if (json) {
      screen.json(view);
      return code;
    }
    const { nodes, groups } = view;
    const health = view.healthy
      ? screen.paint("healthy", "green")
      : screen.paint(`degraded: ${of(view.problems.length, "problem")}`, "red");
    const moving = groups.moving === 0 ? "" : `, ${groups.moving} with members on the move`;
    const figures: readonly (readonly [string, string])[] = [
      ["cluster", `${view.clusterName} ${screen.paint(`(${view.clusterId})`, "dim")}`],
      ["health", health],
      ["nodes", `${nodes.reachable} of ${nodes.total} answer`],
      ["groups", `${groups.total - groups.withoutLeader} of ${groups.total} are led${moving}`],
      ["keyspaces", `${of(view.keyspaces, "keyspace")} in ${of(view.shards, "shard")}`],
      ["keys", `${count(view.keys)}, load ${short(view.load)}`],
      ["asked", `${view.node}, raft-kv ${view.version}`],
    ];
    for (const [name, text] of figures) screen.line(`${name.padEnd(10)} ${text}`);
    for (const problem of view.problems) screen.line(screen.paint(`! ${problem}`, "red"));
    for (const { kind, from, to, step } of view.transfers) {
      screen.line(screen.paint(`~ ${kind} of ${from} into ${to}: ${step}`, "yellow"));
    }
    return code;
  },
};
