/** RaftKV's scenario: keyspaces come and go while 100 clients use another one. */
import { expect, it } from "vitest";
import { counterModule, mapModule } from "../support/modules.ts";
import { openNode, QUICK } from "../support/nodes.ts";
import { eventually } from "../support/waiting.ts";

const CLIENTS = 100;
const KEYSPACES = 20;
const POLICY = { maxShards: 4, maxKeysPerShard: 30 };

it("registers and deregisters keyspaces while 100 clients write to others", async () => {
  const node = await openNode(QUICK);
  const busy = await node.kv.registerKeyspace("busy", counterModule, null, POLICY);
  let running = true;
  const counts = new Array<number>(CLIENTS).fill(0);
  const clients = counts.map(async (_, client) => {
    while (running) {
      const count = (counts[client] as number) + 1;
      expect(await busy.command(`client-${client}`, "add")).toBe(count);
      counts[client] = count;
    }
  });

  const names = Array.from({ length: KEYSPACES }, (_, at) => `ks_${at}`);
  for (const [at, name] of names.entries()) {
    const keyspace = await node.kv.registerKeyspace(name, mapModule, null, POLICY);
    expect(await keyspace.command("key", { set: at })).toBe("ok");
    expect(await keyspace.query("key", "get")).toBe(at);
  }
  expect(await node.kv.listKeyspaces()).toEqual(["busy", ...names].sort());
  for (const name of names) await node.kv.deregisterKeyspace(name);
  expect(await node.kv.listKeyspaces()).toEqual(["busy"]);

  running = false;
  await Promise.all(clients);
  for (const [client, count] of counts.entries()) {
    expect(count).toBeGreaterThan(0);
    expect(await busy.query(`client-${client}`, "get")).toBe(count);
  }
  // The removed keyspaces' names are free again once their groups are gone.
  await eventually("ks_0 can be registered again", async () => {
    await node.kv.registerKeyspace("ks_0", mapModule, null, POLICY);
    return true;
  });
  expect(await node.kv.query("ks_0", "key", "get")).toBeUndefined();
});
