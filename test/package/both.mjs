// A program that reaches the package both ways has one default node and one error class.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import * as esm from "raft-kv";
import * as testing from "raft-kv/testing";

const require = createRequire(import.meta.url);
for (const [entry, exported] of Object.entries({ "raft-kv": esm, "raft-kv/testing": testing })) {
  const commonjs = require(entry);
  assert.deepEqual(Object.keys(exported).sort(), Object.keys(commonjs).sort());
  for (const [name, value] of Object.entries(exported)) assert.equal(value, commonjs[name], name);
}
const impure = { command: () => [0, 1, Math.random(), 1], query: (value) => [value, 1] };
const check = () => testing.assertValuePerKey(impure, { commands: [1] });
assert.throws(
  check,
  (error) => error instanceof esm.RaftKVError && error.code === "INVALID_MODULE",
);
