// A cluster for tests, from the installed package: a node is killed, the others go on.
import assert from "node:assert/strict";
import { createTestCluster } from "raft-kv/testing";

const counter = { command: (n = 0) => [n + 1, 1, n + 1, 1], query: (n) => [n, 1] };
const start = (node) => node.kv.openKeyspace("counters", counter, null, { maxShards: 1 });
const cluster = await createTestCluster({ start });
await cluster.settled();
const leader = await cluster.leaderOf("counters_0");
const [other] = cluster.nodes.filter((node) => node !== leader);
assert.equal(await other.kv.command("counters", "visits", null), 1);
await cluster.kill(leader);
const patient = { retry: 20, retryInterval: 100 };
assert.equal(await other.kv.command("counters", "visits", null, patient), 2);
await cluster.close();
