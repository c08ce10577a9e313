/** `raft-kv drain NODE` */
import { setTimeout as sleep } from "node:timers/promises";
import type { DrainView } from "../../admin/types.ts";
import { ProgressBar } from "../progress.ts";
import { of } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

const LOOK_MS = 200;

export const drain: Verb = {
  name: "drain",
  parameters: "NODE",
  summary: "move replicas and leaders off a node",
  details:
    "The node goes on serving its callers and may then be stopped; when it is started\n" +
    "again, it is used as before. --undo lets it hold replicas again at once.",
  options: { undo: { type: "boolean", help: "let the node hold replicas again" } },
  async run({ server, screen, json, given: [node], options, confirm }) {
    const undo = options.undo === true;
    await confirm(undo ? `Let ${node} hold replicas again?` : `Move everything off ${node}?`);
    const ask = () => server.call<DrainView>("drain", { node, undo, wait: false });
    let view = await ask();
    const { left: total } = view;
    const bar = new ProgressBar(screen, json);
    const show = () => {
      const most = Math.max(total, view.left, 1);
      bar.update((most - view.left) / most, `${of(view.left, "group")} left`);
    };
    while (!view.done) {
      show();
      await sleep(LOOK_MS);
      view = await ask();
      if (view.done) show();
    }
    if (json) screen.json(view);
    else if (undo) screen.line(`${view.node} may hold replicas again`);
    else screen.line(`${view.node} is drained: it may be stopped`);
    return EXIT.good;
  },
};
