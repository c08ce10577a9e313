/** `raft-kv verify` */
import type { GroupChecksums, GroupView, VerifyView } from "../../admin/types.ts";
import { VERIFIED_AT_ONCE } from "../../limits.ts";
import { CallFailed, type Connection } from "../connection.ts";
import { ProgressBar } from "../progress.ts";
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

/** Compares one group, or all of them one by one, which shows how far it has come. */
async function compare(
  server: Connection,
  name: string | undefined,
  bar: ProgressBar,
): Promise<readonly GroupChecksums[]> {
  const all = name === undefined ? await server.call<GroupView[]>("groups") : [];
  const names = all.filter(({ system, state }) => !system && !["new", "removing"].includes(state));
  const left = name === undefined ? names.map((group) => group.name) : [name];
  const total = left.length;
  const found: GroupChecksums[] = [];
  const work = async () => {
    for (let group = left.shift(); group !== undefined; group = left.shift()) {
      found.push(...(await verified(server, group, name)));
      bar.update(found.length / total, `${found.length} of ${of(total, "group")}`);
    }
  };
  await Promise.all(Array.from({ length: VERIFIED_AT_ONCE }, work));
  return found.sort((a, b) => a.group.localeCompare(b.group, "en", { numeric: true }));
}

/** A group that was not asked for by name may be gone by now, as after a merge. */
async function verified(server: Connection, group: string, name: string | undefined) {
  try {
    return (await server.call<VerifyView>("verify", { group })).groups;
  } catch (error) {
    if (name === undefined && error instanceof CallFailed && error.code === "NOT_FOUND") return [];
    throw error;
  }
}

export const verify: Verb = {
  name: "verify",
  parameters: "[GROUP]",
  summary: "compare all replicas by their checksums",
  details:
    "Has the replicas of every shard and program's group, or of the one that is named, compute a " +
    "checksum at the same index of their log: a pass over all data. Ends with 3 when some differ " +
    "or did not answer.",
  async run({ server, screen, json, given: [name] }) {
    const groups = await compare(server, name, new ProgressBar(screen, json));
    const verified = groups.every(({ result }) => result === "equal");
    if (json) screen.json({ verified, groups });
    else {
      screen.table(COLUMNS, groups, "no shards and no groups of programs");
      const bad = groups.filter(({ result }) => result !== "equal").length;
      if (bad > 0)
        screen.line(screen.paint(`${bad} of ${of(groups.length, "group")} not equal`, "red"));
    }
    return verified ? EXIT.good : EXIT.degraded;
  },
};
