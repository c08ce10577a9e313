/** `raft-kv recover NODE...` */
import type { RecoveredGroup, RecoveryResult } from "../../admin/types.ts";
import type { Colour, Column } from "../screen.ts";
import { brief, of } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

const COLOURS: Readonly<Record<RecoveredGroup["action"], Colour>> = {
  kept: "green",
  recovered: "yellow",
  lost: "red",
  waiting: "red",
};

const COLUMNS: readonly Column<RecoveredGroup>[] = [
  { title: "GROUP", value: ({ group }) => group },
  { title: "RESULT", value: ({ action }) => action, colour: ({ action }) => COLOURS[action] },
  { title: "FROM", value: ({ node }) => (node === null ? "-" : brief(node)) },
  { title: "WHAT IT MEANS", value: ({ explanation }) => explanation },
];

export const recover: Verb = {
  name: "recover",
  parameters: "NODE...",
  summary: "go on without nodes that are lost for good",
  details:
    "The last resort where a majority is lost. Ask any survivor, also one that still waits for " +
    "the others. Groups of which a majority survived lose nothing; others go on with what one " +
    "survivor had, and what only the lost nodes had is gone. Be sure that their processes have " +
    "ended: the named nodes never come back under their directories. It may be repeated. Ends " +
    "with 3 when a group has to wait for survivors, or is lost.",
  async run({ server, screen, json, given, confirm }) {
    const names = given.join(", ");
    await confirm(`Give up ${names} for good, with what only they held?`);
    const lostNodes = [...given];
    const result = await server.call<RecoveryResult>("recover", {
      ...{ lostNodes, acceptDataLoss: true },
    });
    if (json) screen.json(result);
    else {
      screen.table(COLUMNS, result.groups, "no group had members there");
      screen.line(`the cluster goes on without ${of(result.droppedNodes.length, "node")}`);
    }
    const isOpen = ({ action }: RecoveredGroup) => action === "waiting" || action === "lost";
    return result.groups.some(isOpen) ? EXIT.degraded : EXIT.good;
  },
};
