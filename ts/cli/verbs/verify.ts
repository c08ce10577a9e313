/** `raft-kv verify` */
import type { GroupChecksums, VerifyView } from "../../admin/types.ts";
import type { Colour, Column } from "../screen.ts";
import { brief, of } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

const COLOURS: Readonly<Record<GroupChecksums["result"], Colour>> = {
  equal: "green",
  different: "red",
  incomplete: "yellow",
};

const COLUMNS: readonly Column<GroupChecksums>[] = [
  { title: "GROUP", value: ({ group }) => group },
  { title: "INDEX", right: true, value: ({ index }) => String(index ?? "-") },
  { title: "RESULT", value: ({ result }) => result, colour: ({ result }) => COLOURS[result] },
  { title: "CHECKSUM", value: checksums },
];

/** The one checksum of equal replicas, else who has which. */
function checksums({ replicas, result }: GroupChecksums): string {
  if (result === "equal") return `${replicas[0]?.checksum} on ${of(replicas.length, "replica")}`;
  return replicas.map(({ node, checksum }) => `${brief(node)}: ${checksum ?? "-"}`).join(" ");
}

export const verify: Verb = {
  name: "verify",
  parameters: "",
  summary: "compare all replicas by their checksums",
  details:
    "Has the replicas of every shard and program's group compute a checksum at the same index of " +
    "their log: a pass over all data. Ends with 3 when some differ or did not answer.",
  async run({ server, screen, json }) {
    const view = await server.call<VerifyView>("verify");
    const { groups, verified } = view;
    if (json) screen.json(view);
    else {
      screen.table(COLUMNS, groups, "no shards and no groups of programs");
      const bad = groups.filter(({ result }) => result !== "equal").length;
      if (bad > 0)
        screen.line(screen.paint(`${bad} of ${of(groups.length, "group")} not equal`, "red"));
    }
    return verified ? EXIT.good : EXIT.degraded;
  },
};
