/** `raft-kv sysdump` */
import { writeFileSync } from "node:fs";
import type { Json } from "../../admin/types.ts";
import { bytes } from "../units.ts";
import { EXIT, type Verb } from "../verb.ts";

export const sysdump: Verb = {
  name: "sysdump",
  parameters: "[FILE]",
  summary: "all that helps to find a problem, as JSON",
  details:
    "States, settings, statistics and the last log lines of all nodes that answer. It has the\n" +
    "names of nodes and keyspaces, and no keys, values, tokens or private keys.",
  async run({ server, screen, given: [file] }) {
    const dump = await server.call<Json>("sysdump");
    if (file === undefined) {
      screen.json(dump);
      return EXIT.good;
    }
    const text = `${JSON.stringify(dump, null, 2)}\n`;
    writeFileSync(file, text);
    screen.line(`${file}: ${bytes(Buffer.byteLength(text))}`);
    return EXIT.good;
  },
};
