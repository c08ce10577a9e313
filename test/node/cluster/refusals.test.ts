/** Who does not belong to a cluster is refused, with a reason that says what to do. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { RaftKVNode } from "../../../ts/index.ts";
import { allKnow, freeAddresses, QUICK_CLUSTER, startCluster } from "../support/cluster.ts";
import { expectCode } from "../support/errors.ts";
import { mapModule } from "../support/modules.ts";
import { newNode, scratchDirectory } from "../support/nodes.ts";
import { eventually } from "../support/waiting.ts";

const CERTIFICATES = fileURLToPath(new URL("../support/certificates", import.meta.url));
const policy = { maxShards: 4, maxKeysPerShard: 1_000_000 };

function tlsOf(owner: "cluster" | "stranger", trusted: "cluster" | "stranger" = owner) {
  const file = (name: string) => join(CERTIFICATES, name);
  return {
    ca: file(`${trusted}-ca.pem`),
    cert: file(`${owner}-node.pem`),
    key: file(`${owner}-node.key`),
  };
}

/** Activates a node that will not get in, and gives the first message that contains `text`. */
async function saysWhileJoining(
  options: Parameters<typeof newNode>[0],
  text: RegExp,
): Promise<string> {
  const said: string[] = [];
  const take = (message: string) => said.push(message);
  const node: RaftKVNode = newNode({
    ...options,
    logger: { debug: take, info: take, warn: take, error: take },
  });
  const joining = node.fleet.activate("zone");
  joining.catch(() => undefined);
  const found = await eventually(`a message like ${text}`, () => said.find((m) => text.test(m)));
  void node.close();
  return found;
}

it("nodes with certificates of one authority are a cluster, others do not get in", async () => {
  const { nodes, addresses } = await startCluster(2, { tls: tlsOf("cluster") });
  await allKnow(nodes, 2);
  for (const node of nodes) {
    await node.kv.init();
    await node.kv.openKeyspace("kv", mapModule, null, policy);
  }
  await nodes[0]?.kv.command("kv", "key", { set: "value" });
  expect(await nodes[1]?.kv.query("kv", "key", "get")).toBe("value");
  const [plain, stranger, forger] = await freeAddresses(3);
  const seeds = [addresses[0] as string];
  const waiting = /waiting for the seeds/;
  await saysWhileJoining({ ...QUICK_CLUSTER, listen: plain, seeds }, waiting);
  const tls = tlsOf("stranger");
  await saysWhileJoining({ ...QUICK_CLUSTER, listen: stranger, seeds, tls }, waiting);
  // Trusts the cluster, but shows a certificate that the cluster does not trust.
  const forged = tlsOf("stranger", "cluster");
  await saysWhileJoining({ ...QUICK_CLUSTER, listen: forger, seeds, tls: forged }, waiting);
  await allKnow(nodes, 2);
});

it("a directory of one cluster does not get into another", async () => {
  const [own] = await freeAddresses(1);
  const dataDir = scratchDirectory();
  const before = newNode({ ...QUICK_CLUSTER, dataDir, listen: own, seeds: [own as string] });
  await before.fleet.activate("zone");
  await before.kv.init();
  await before.close();
  const { nodes, addresses } = await startCluster(1);
  // It comes back as its own cluster: seeds of another one change nothing of that.
  const after = newNode({ ...QUICK_CLUSTER, dataDir, listen: own, seeds: addresses });
  await after.fleet.activate("zone");
  expect(await after.fleet.activeNodes()).toEqual({ zone: [await after.fleet.nodeName()] });
  await allKnow(nodes, 1);
});

it("a node that waits for its seeds can be closed", async () => {
  const [own, nobody] = await freeAddresses(2);
  const node = newNode({ ...QUICK_CLUSTER, listen: own, seeds: [nobody as string] });
  const joining = expectCode(() => node.fleet.activate("zone"), "CLOSED");
  await node.close();
  await joining;
  const again = expectCode(() => node.fleet.activate("zone"), "CLOSED");
  await new Promise((resolve) => setTimeout(resolve, 300));
  await node.close();
  await again;
});

it("a copied data directory is refused while its original runs", async () => {
  const directories = [scratchDirectory(), scratchDirectory(), scratchDirectory()];
  const addresses = await freeAddresses(4);
  const seeds = addresses.slice(0, 3);
  const start = (at: number, dataDir: string) =>
    newNode({ ...QUICK_CLUSTER, dataDir, listen: addresses[at], seeds });
  const nodes = directories.map((dataDir, at) => start(at, dataDir));
  await Promise.all(nodes.map((node) => node.fleet.activate("zone")));
  await allKnow(nodes, 3);
  const copy = scratchDirectory();
  await nodes[2]?.close();
  cpSync(directories[2] as string, copy, { recursive: true });
  const original = start(2, directories[2] as string);
  await original.fleet.activate("zone");
  await allKnow([original], 3);
  const imposter = start(3, copy);
  await expectCode(() => imposter.fleet.activate("zone"), "CLUSTER_MISMATCH");
  await original.kv.init();
  await original.kv.openKeyspace("kv", mapModule, null, policy);
  expect(await original.kv.command("kv", "key", { set: 1 })).toBe("ok");
});
