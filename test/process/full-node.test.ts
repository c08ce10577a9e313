/** A node with a full disk is one that is away: nobody waits for it to take something over. */
import { expect, it } from "vitest";
import { freeAddresses } from "../node/support/cluster.ts";
import { eventually } from "../node/support/waiting.ts";
import { type GroupStanding, ProcessNode, spread } from "./support/cluster.ts";
import { programPath, type Running, startCommand } from "./support/programs.ts";

/** `ulimit -f` counts blocks of 512 bytes: no file may grow beyond this many. */
const FILE_BLOCKS_MAX = 12_000;
const KEYSPACES = ["one", "two", "three", "four"];

/** A node whose files cannot grow for long. */
class SmallNode extends ProcessNode {
  protected override launch(options: string): Running {
    const limited = `ulimit -f ${FILE_BLOCKS_MAX} && exec "$0" "$@"`;
    const command = ["-c", limited, process.execPath, programPath("cluster-node.mjs"), options];
    return startCommand("sh", command);
  }
}

it.skipIf(process.platform !== "linux")(
  "a node leaves although another one's disk is full",
  async () => {
    const seeds = await freeAddresses(4);
    const [a, b, c, d] = seeds.map((address, at) => {
      const Kind = at === 3 ? SmallNode : ProcessNode;
      return new Kind(address, `zone ${at}`, { seeds });
    }) as [ProcessNode, ProcessNode, ProcessNode, SmallNode];
    const nodes = [a, b, c, d];
    await Promise.all(nodes.map((node) => node.activate()));
    for (const node of nodes) {
      for (const name of KEYSPACES) await node.call("open", name, { maxShards: 1 });
    }
    await spread(nodes, 4);
    const held = await d.call<GroupStanding[]>("groups");
    const filled = KEYSPACES.find((name) => {
      return held.some((group) => group.name === `${name}_0` && group.role !== undefined);
    });
    if (filled === undefined) throw new Error("the node that is to be full holds no shard");
    await b.call("load", { keyspace: filled, clients: 16, keys: 40, ballast: 20_000 });
    await eventually("away for the others", async () => {
      const away = await a.call<Record<string, string>>("fleet.unreachableNodes");
      return d.name in away;
    });
    await b.call("stopLoad");
    await a.call("fleet.deactivate");
    const active = await b.call<Record<string, string[]>>("fleet.activeNodes");
    expect(Object.values(active).flat()).not.toContain(a.name);
    for (const name of KEYSPACES) {
      await b.call("kv.command", name, "after", { ballast: "" }, { retry: 20 });
    }
  },
  90_000,
);
