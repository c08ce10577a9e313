/** A node that is deactivated hands everything over first, or says why it cannot. */
import { expect, it } from "vitest";
import { allKnow, startCluster } from "../support/cluster.ts";
import { expectCode } from "../support/errors.ts";
import { counterModule } from "../support/modules.ts";

const policy = { maxShards: 4, maxKeysPerShard: 1_000_000 };

it("a node that leaves loses no request of the others, and comes back when activated again", async () => {
  const { nodes } = await startCluster(3);
  const keyspaces = await Promise.all(
    nodes.map(async (node) => {
      await node.kv.init();
      return node.kv.openKeyspace("counts", counterModule, null, policy);
    }),
  );
  const [first, second, third] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
  let counted = 0;
  let running = true;
  const counting = (async () => {
    while (running) {
      await keyspaces[1]?.command("key", "add");
      counted++;
    }
  })();
  await first.fleet.deactivate();
  await allKnow([second, third], 2);
  await first.fleet.activate("a");
  await first.kv.init();
  await first.kv.openKeyspace("counts", counterModule, null, policy);
  await allKnow(nodes, 3);
  running = false;
  await counting;
  expect(counted).toBeGreaterThan(10);
  for (const node of nodes) expect(await node.kv.query("counts", "key", "get")).toBe(counted);
});

it("a node whose code no other has bound says so and stays", async () => {
  const { nodes } = await startCluster(2);
  const [first, second] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
  await first.kv.init();
  await second.kv.init();
  await first.kv.openKeyspace("counts", counterModule, null, policy);
  const error = await expectCode(() => first.fleet.deactivate(), "MODULE_NOT_BOUND");
  expect(error.message).toContain("counts_0");
  expect(await first.kv.command("counts", "key", "add")).toBe(1);
  await second.kv.bindKeyspace("counts", counterModule);
  await first.fleet.deactivate();
  expect(await second.kv.query("counts", "key", "get")).toBe(1);
});
