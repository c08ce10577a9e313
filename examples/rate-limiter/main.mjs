// Five requests of one client against a bucket of three, while another client is not disturbed.
import { createNode } from "raft-kv";
import { rateLimiter } from "./limiter.mjs";

const node = createNode({ dataDir: ":memory:" });
await node.fleet.activate("zone");
await node.kv.init();
const limits = await node.kv.openKeyspace("limits", rateLimiter({ rate: 0.01, burst: 3 }), null, {
  maxShards: 16,
  maxKeysPerShard: 100_000,
});

for (let request = 1; request <= 5; request++) {
  const { allowed, left, retryAfter } = await limits.command("10.0.0.7", { cost: 1 });
  const verdict = allowed ? `passes, ${left} left` : `waits ${retryAfter} s`;
  console.log(`request ${request} of 10.0.0.7 ${verdict}`);
}
const { left } = await limits.command("10.0.0.8", { cost: 1 });
console.log(`request 1 of 10.0.0.8 passes, ${left} left`);
await node.close();
