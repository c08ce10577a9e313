/**
 * Of three processes two are killed for good: the third goes on with what it has, and the cluster
 * grows again.
 */
import { rmSync } from "node:fs";
import { expect, it } from "vitest";
import { freeAddresses } from "../node/support/cluster.ts";
import {
  checkCounts,
  goesOn,
  type LoadReport,
  ProcessNode,
  spread,
  startCounting,
} from "./support/cluster.ts";

const KEYS = 40;
const POLICY = { maxShards: 4, maxKeysPerShard: 15 };

it("the last of three processes recovers, serves its data, and grows with new nodes", async () => {
  const nodes = await startCounting(3, POLICY);
  const [survivor, second, third] = nodes as [ProcessNode, ProcessNode, ProcessNode];
  await survivor.call("load", { keyspace: "counts", clients: 32, keys: KEYS });
  await goesOn(survivor, 1_000);
  await second.kill();
  await third.kill();
  const lostNodes = [second.name, third.name];
  await expect(
    survivor.call("fleet.recoverGroups", { lostNodes, acceptDataLoss: false }),
  ).rejects.toMatchObject({ code: "INVALID_OPTION" });
  const result = await survivor.call<{ groups: { group: string; action: string }[] }>(
    "fleet.recoverGroups",
    { lostNodes, acceptDataLoss: true },
  );
  // A shard that was just being made may not have been begun anywhere, and has nothing to lose.
  const kept = result.groups.filter(({ action }) => action !== "recovered");
  expect(kept.every(({ action, group }) => action === "kept" && group.startsWith("counts_"))).toBe(
    true,
  );
  expect(result.groups.map(({ group }) => group)).toContain("RaftFleet.Fleet");
  await goesOn(survivor, 50);
  const report = await survivor.call<LoadReport>("stopLoad");
  const before = await survivor.call<number[]>("counts", "counts", KEYS);
  // What this process acknowledged its own replica had applied: none of that may be gone.
  expect(checkCounts(before, report)).toEqual([]);
  rmSync(second.directory, { recursive: true });

  await expect(third.activate()).rejects.toMatchObject({ code: "CLUSTER_MISMATCH" });
  await third.kill();

  const seeds = [survivor.address];
  const added = (await freeAddresses(2)).map(
    (address, at) => new ProcessNode(address, "bc"[at] as string, { seeds }),
  );
  for (const node of added) await node.activate();
  for (const node of added) await node.call("open", "counts", POLICY);
  await spread([survivor, ...added], 3);
  for (const node of [survivor, ...added]) {
    expect(await node.call<number[]>("counts", "counts", KEYS)).toEqual(before);
  }
  await survivor.kill();
  await survivor.activate();
  await survivor.call("open", "counts", POLICY);
  expect(await survivor.call<number[]>("counts", "counts", KEYS)).toEqual(before);
}, 120_000);
