/** Probes of nodes whose cluster has lost its majority. */
import { expect, it } from "vitest";
import type { RaftKVNode } from "../../../ts/index.ts";
import { allKnow, startCluster } from "../support/cluster.ts";
import { eventually } from "../support/waiting.ts";

it("a node is not ready while its groups reach no majority, also where it led them", async () => {
  const { nodes } = await startCluster(3);
  await allKnow(nodes, 3);
  for (const node of nodes) {
    await eventually("a node that is ready", async () => (await node.fleet.readiness()).ready);
  }
  const [left, ...others] = nodes as [RaftKVNode, ...RaftKVNode[]];
  // The one that is closed last hands what it leads over to the one that is left.
  for (const node of others) await node.close();
  const reasons = await eventually("a node that is not ready", async () => {
    const { ready, reasons } = await left.fleet.readiness();
    return ready ? undefined : reasons;
  });
  expect(reasons.join()).toMatch(/RaftFleet\.Fleet, (have no leader|reach no majority)/);
});
