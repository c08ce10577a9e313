/** `raft-kv transfer-leader GROUP NODE` */
import type { TransferredLeader } from "../../admin/types.ts";
import { EXIT, type Verb } from "../verb.ts";

export const transferLeader: Verb = {
  name: "transfer-leader",
  parameters: "GROUP NODE",
  summary: "have a voter of a group or shard lead it",
  details: "The node stays the preferred leader for as long as it votes in the group.",
  async run({ server, screen, json, given: [group, node], confirm }) {
    await confirm(`Have ${node} lead ${group}?`);
    const done = await server.call<TransferredLeader>("transfer-leader", { group, node });
    if (json) screen.json(done);
    else screen.line(`${done.leader} leads ${done.group}`);
    return EXIT.good;
  },
};
