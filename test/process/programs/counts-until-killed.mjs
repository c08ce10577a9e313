// Tells what a directory holds, then counts with many clients until it is killed.
//
// Each line of output is one fact, written before the next can happen: `v KEY COUNT` what is there
// at the start, `a KEY` a command is about to be called, `k KEY COUNT` it was acknowledged.
import { writeSync } from "node:fs";
import { createNode } from "raft-kv";
import { argument, counterModule, QUICK } from "./modules.mjs";

const { directory, clients, keys, ballastBytes, moving, mode } = JSON.parse(argument(0));

const FEW = { maxShards: 16, maxKeysPerShard: 1_000_000 };
const MANY = { maxShards: 16, maxKeysPerShard: 3 };
const STDOUT = 1;
const HASH_SPACE = 2 ** 27;

/**
 * Writes lines whole: a pipe that is full takes them later.
 * @param {string} lines
 */
function say(lines) {
  let rest = Buffer.from(lines);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(STDOUT, rest));
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EAGAIN") throw error;
    }
  }
}

const sleep = (/** @type {number} */ milliseconds) =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
const node = createNode({ dataDir: directory, ...QUICK });
await node.fleet.activate("zone");
await node.kv.init();
const keyspace = await node.kv.openKeyspace("kv", counterModule, null, FEW);

/** Waits until what the last process left unfinished is finished, and the shards tile the range. */
async function settled() {
  for (;;) {
    const shards = await keyspace.shards();
    if (shards.every(({ state }) => state === "serving")) {
      let at = 0;
      for (const { start, end } of shards) {
        if (start !== at) throw new Error(`a gap or an overlap of shards at ${at}`);
        at = end;
      }
      if (at !== HASH_SPACE) throw new Error(`the shards end at ${at}`);
      return;
    }
    await sleep(5);
  }
}

if (mode !== "load at once") await settled();

const present = [];
for await (const key of keyspace.keys()) present.push(key);
if (new Set(present).size !== present.length) throw new Error("a key was listed twice");
const lines = [];
for (let key = 0; key < keys; key++) {
  const name = `key-${key}`;
  const count = await keyspace.query(name, "get");
  if ((count !== undefined) !== present.includes(name)) throw new Error(`${name} listed wrongly`);
  lines.push(`v ${key} ${count ?? 0}\n`);
}
say(`${lines.join("")}ready\n`);

if (mode === "check") {
  await node.close();
} else {
  if (moving) void move();
  for (let client = 0; client < clients; client++) void count(client);
}

async function move() {
  for (let round = 0; ; round++) {
    await node.kv.setKeyspacePolicy("kv", round % 2 === 0 ? MANY : FEW);
    await sleep(120);
  }
}

/** @param {number} client */
async function count(client) {
  const ballast = "x".repeat(ballastBytes);
  let acknowledged = "";
  for (let key = client % keys; ; key = (key + 7) % keys) {
    say(`${acknowledged}a ${key}\n`);
    const result = await keyspace.command(`key-${key}`, { ballast });
    acknowledged = `k ${key} ${result}\n`;
    if (client % 5 === 0) {
      say(acknowledged);
      acknowledged = "";
      await sleep(1);
    }
  }
}
