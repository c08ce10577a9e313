// A program that reaches the package both ways has one default node and one error class.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import * as esm from "raft-kv";

const commonjs = createRequire(import.meta.url)("raft-kv");
assert.deepEqual(Object.keys(esm).sort(), Object.keys(commonjs).sort());
for (const [name, value] of Object.entries(esm)) assert.equal(value, commonjs[name], name);
