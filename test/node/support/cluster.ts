/** Several nodes of one cluster in this process, over real sockets. */
import { createServer } from "node:net";
import type { NodeOptions, RaftKVNode } from "../../../ts/index.ts";
import { newNode } from "./nodes.ts";
import { eventually } from "./waiting.ts";

/** Intervals short enough for a test to see groups move. */
export const QUICK_CLUSTER: NodeOptions = {
  heartbeatInterval: 100,
  electionTimeout: 400,
  balancingInterval: 50,
};

/** Addresses on this machine that were free a moment ago. */
export async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const addresses = servers.map((server) => {
    const bound = server.address();
    if (bound === null || typeof bound === "string") throw new Error("no port");
    return `127.0.0.1:${bound.port}`;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}

/** Starts nodes with the same seeds at the same moment, in zones "a", "b", "c" in turn. */
export async function startCluster(
  count: number,
  options: NodeOptions = {},
): Promise<{ nodes: RaftKVNode[]; addresses: string[] }> {
  const addresses = await freeAddresses(count);
  const nodes = addresses.map((listen) =>
    newNode({ ...QUICK_CLUSTER, listen, seeds: addresses, ...options }),
  );
  await Promise.all(nodes.map((node, at) => node.fleet.activate("abc"[at % 3] as string)));
  return { nodes, addresses };
}

/** Waits until every node lists so many active nodes. */
export async function allKnow(nodes: readonly RaftKVNode[], count: number): Promise<void> {
  for (const node of nodes) {
    await eventually(`${count} active nodes`, async () => {
      const zones = await node.fleet.activeNodes();
      return Object.values(zones).flat().length === count;
    });
  }
}
