// Writes until the storage refuses, and tells what every kind of call says from then on.
//
// `k KEY` is written for each command that was acknowledged. With a filler as the second argument,
// it is removed at the end and the directory opened again, which `after KEYS` tells.
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createNode } from "raft-kv";
import { counterModule, described } from "./modules.mjs";

const [directory = "", filler] = process.argv.slice(2);
const ballast = "x".repeat(4_000);
const policy = { maxShards: 1 };
/** @type {import("raft-kv").DataModule<number, unknown, number>} */
const group = { init: () => 0, command: (state) => [state, state + 1], query: (state) => state };

/** @type {string[]} */
const errors = [];
const ignore = () => undefined;
/** @param {string} line */
const keep = (line) => errors.push(line);
const logger = { debug: ignore, info: ignore, warn: ignore, error: keep };
const node = createNode({ dataDir: directory, logger });
await node.fleet.activate("zone");
await node.kv.init();
const keyspace = await node.kv.openKeyspace("kv", counterModule, null, policy);
/** @type {string[]} */
const warnings = [];
node.kv.events.on("warning", ({ code }) => warnings.push(code));
const warned = once(node.kv.events, "warning");

/** @type {unknown} */
let failed;
for (let key = 0; failed === undefined; key += 8) {
  await Promise.all(
    Array.from({ length: 8 }, async (_, at) => {
      try {
        await keyspace.command(`key-${key + at}`, { ballast });
        console.log(`k key-${key + at}`);
      } catch (error) {
        failed ??= error;
      }
    }),
  );
}

/** @type {Record<string, () => Promise<unknown>>} */
const calls = {
  command: () => keyspace.command("more", { ballast: "" }),
  "command again": () => keyspace.command("more", { ballast: "" }),
  registerKeyspace: () => node.kv.registerKeyspace("more", counterModule, null, policy),
  commandOnAllKeys: () => keyspace.commandOnAllKeys({ ballast: "" }),
  setKeyspacePolicy: () => node.kv.setKeyspacePolicy("kv", { maxShards: 2 }),
  addConsensusGroup: () => node.fleet.addConsensusGroup("g", 1, { module: group }),
};
/** @type {Record<string, unknown>} */
const refusals = {};
for (const [name, call] of Object.entries(calls)) {
  refusals[name] = await call().then(() => "it was accepted", described);
}
// The storage's own word may come a moment after the calls that it failed.
await warned;
console.log(JSON.stringify({ failed: described(failed), refusals, warnings, errors }));
await node.close();
console.log("closed");

if (filler !== undefined) {
  rmSync(filler);
  const again = createNode({ dataDir: directory });
  await again.fleet.activate("zone");
  await again.kv.init();
  const reopened = await again.kv.openKeyspace("kv", counterModule, null, policy);
  await reopened.command("written again", { ballast: "" });
  for await (const key of reopened.keys()) console.log(`after ${key}`);
  await again.close();
}
