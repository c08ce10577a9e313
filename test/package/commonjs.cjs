// CommonJS, and a node of its own on a directory that is opened twice.
const assert = require("node:assert/strict");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { createNode } = require("raft-kv");

const Counter = {
  command: (previous, _size, _key, by) => [(previous ?? 0) + by, 1, (previous ?? 0) + by, 0],
  query: (value) => [value, 1],
};

async function main() {
  const dataDir = mkdtempSync(join(tmpdir(), "raft-kv-package-"));
  try {
    for (const expected of [1, 2]) {
      const node = createNode({ dataDir });
      await node.fleet.activate("zone");
      await node.kv.init();
      const counters = await node.kv.openKeyspace("counters", Counter, null, { maxShards: 1 });
      assert.equal(await counters.command("visits", 1), expected);
      await node.close();
    }
  } finally {
    rmSync(dataDir, { recursive: true });
  }
}

main();
