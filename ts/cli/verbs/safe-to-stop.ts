/** `raft-kv safe-to-stop NODE` */
import type { SafetyView } from "../../admin/types.ts";
import { EXIT, type Verb } from "../verb.ts";

/** Groups that are named at most; `--json` has all. */
const SHOWN = 20;

export const safeToStop: Verb = {
  name: "safe-to-stop",
  parameters: "NODE",
  summary: "say whether all groups go on without a node",
  details: "Ends with 3 when some would not: wait, drain the node, or add another first.",
  async run({ server, screen, json, given: [node] }) {
    const view = await server.call<SafetyView>("safe-to-stop", { node });
    const { safe, reasons } = view;
    if (json) screen.json(view);
    else if (safe)
      screen.line(screen.paint(`yes: every group goes on without ${view.node}`, "green"));
    else {
      screen.line(
        screen.paint(`no: without ${view.node} ${reasons.length} groups stand still`, "red"),
      );
      for (const { group, reason } of reasons.slice(0, SHOWN)) screen.line(`  ${group}: ${reason}`);
      if (reasons.length > SHOWN) screen.line(`  and ${reasons.length - SHOWN} more`);
    }
    return safe ? EXIT.good : EXIT.degraded;
  },
};
