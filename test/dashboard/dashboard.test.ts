/** The dashboard's server on real nodes: what it shows, to whom, and what its page may ask for. */
import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { keysOf } from "../../ts/dashboard/page/cells.ts";
import { HASHES } from "../../ts/dashboard/types.ts";
import type { RaftKVNode } from "../../ts/index.ts";
import { allKnow, startCluster } from "../node/support/cluster.ts";
import { expectCode } from "../node/support/errors.ts";
import { counterModule, mapModule } from "../node/support/modules.ts";
import { newNode, openNode, QUICK } from "../node/support/nodes.ts";
import { eventually, shardsServing } from "../node/support/waiting.ts";
import { look, openStream } from "./support/stream.ts";

const TOKEN = "a-token-that-is-long-enough";
const PAGES = ["/", "/dashboard", "/dashboard/app.js", "/dashboard/style.css"];

/** Asks as a browser does that was pointed here under another name. */
function statusFor(address: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { headers: { host } };
    const asking = request(`http://${address}/dashboard/stream`, options, (response) => {
      resolve(response.statusCode);
      response.destroy();
    });
    asking.on("error", reject);
    asking.end();
  });
}

describe("the page", () => {
  test("is whole, runs only its own script, and names no other place", async () => {
    const node = await openNode();
    const { address, url } = await node.fleet.dashboard({ port: 0 });
    expect(url).toBe(`http://${address}/dashboard`);
    expect(address).toMatch(/^127\.0\.0\.1:/);
    for (const path of PAGES) {
      const response = await fetch(`http://${address}${path}`);
      expect(response.status, path).toBe(200);
      const policy = response.headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).not.toContain("unsafe");
      const text = (await response.text()).replaceAll("http://www.w3.org/2000/svg", "");
      expect(text.length).toBeGreaterThan(1000);
      expect(text).not.toMatch(/https?:\/\/|url\(|@import|srcset/);
    }
    const html = await (await fetch(url)).text();
    const asked = [...html.matchAll(/(?:src|href)="([^"#][^"]*)"/g)].map(([, target]) => target);
    expect(asked.filter((target) => !target?.startsWith("data:"))).toEqual([
      ...["dashboard/style.css", "dashboard/app.js"],
    ]);
    // No script or style within the HTML: the policy would not let it run.
    expect(html).not.toMatch(/<script>|<style|style="|\son\w+="/);
  });

  test("is on the server of the option admin as well", async () => {
    const node = newNode({ admin: { port: 0 } });
    await node.fleet.activate("zone");
    const address = node.fleet.adminAddress as string;
    expect((await fetch(`http://${address}/dashboard`)).status).toBe(200);
    const { view } = await look(address, () => true);
    expect(view).toMatchObject({ cluster: "raft-kv", ready: true, keyspaces: [] });
  });
});

describe("whom the server tells", () => {
  test("those with the token, and nothing but what is shown", async () => {
    const node = await openNode();
    const { address, url, close } = await node.fleet.dashboard({ port: 0, token: TOKEN });
    expect(url).toBe(`http://${address}/dashboard#token=${TOKEN}`);
    expect((await openStream(address)).status).toBe(401);
    expect((await openStream(address, `${TOKEN}x`)).status).toBe(401);
    const { view } = await look(address, () => true, TOKEN);
    expect(view.node).toBe(await node.fleet.nodeName());
    const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
    for (const path of ["/v1/status", "/v1/sysdump", "/metrics"]) {
      const answer = await fetch(`http://${address}${path}`, { headers });
      expect([path, answer.status]).toEqual([path, 404]);
    }
    const changed = { method: "POST", headers, body: '{"shard":"kv_0"}' };
    expect((await fetch(`http://${address}/v1/split`, changed)).status).toBe(404);
    await close();
    await close();
    await expect(openStream(address, TOKEN)).rejects.toThrow();
  });

  test("no page of another site, and no name that was pointed here", async () => {
    const node = await openNode();
    const { address } = await node.fleet.dashboard({ port: 0 });
    expect(await statusFor(address, "evil.example")).toBe(401);
    expect(await statusFor(address, address)).toBe(200);
    const headers = { origin: "http://evil.example" };
    const foreign = await fetch(`http://${address}/dashboard/stream`, { headers });
    expect(foreign.status).toBe(401);
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("other machines only with a token, and only where the options can be had", async () => {
    const idle = newNode();
    await expectCode(() => idle.fleet.dashboard({ port: 0 }), "NOT_ACTIVE");
    const node = await openNode();
    const { fleet } = node;
    const everywhere = () => fleet.dashboard({ port: 0, host: "0.0.0.0" });
    const error = await expectCode(everywhere, "INVALID_OPTION");
    expect(error.message).toContain("dashboard.token");
    for (const wrong of [{ port: -1 }, { token: "short" }, { hots: "" }, null, 5]) {
      await expectCode(() => fleet.dashboard(wrong as never), "INVALID_OPTION");
    }
    const { address, url } = await fleet.dashboard({ port: 0, host: "0.0.0.0", token: TOKEN });
    const port = Number(address.split(":")[1]);
    expect(url).not.toContain("0.0.0.0");
    expect((await openStream(`127.0.0.1:${port}`)).status).toBe(401);
    await look(`127.0.0.1:${port}`, () => true, TOKEN);
    await expectCode(() => fleet.dashboard({ port }), "ADDRESS_IN_USE");
  });
});

describe("the stream", () => {
  test("shows the README example's shards, their splits and what happened", async () => {
    const node = await openNode(QUICK);
    const { address } = await node.fleet.dashboard({ port: 0 });
    const empty = await look(address, () => true);
    expect(empty.view).toMatchObject({ keyspaces: [], marks: [], happenings: [] });
    await node.kv.registerKeyspace("kv", mapModule, null, { maxShards: 16, maxKeysPerShard: 100 });
    for (let at = 0; at < 200; at++) await node.kv.command("kv", `key-${at}`, { set: at });
    await shardsServing(node, "kv", 3);
    const { view } = await look(address, ({ keyspaces, marks, happenings, sample }) => {
      const [kv] = keyspaces;
      const counted =
        kv?.keys === 200 &&
        keysOf(sample) === 200 &&
        kv.shards.every(({ leader }) => leader !== null);
      const told = happenings.filter(({ text }) => text.includes("gave half")).length === 2;
      return kv?.count === 3 && counted && told && marks.length === 2;
    });
    const name = await node.fleet.nodeName();
    const [kv] = view.keyspaces;
    const ranges = kv?.shards.map(({ start, end }) => [start, end]) ?? [];
    expect(ranges.map(([start]) => start)).toEqual(
      [0, ...ranges.map(([, end]) => end)].slice(0, 3),
    );
    expect(ranges.at(-1)?.[1]).toBe(HASHES);
    expect(kv?.shards.every(({ leader, keys }) => leader === name && keys !== null)).toBe(true);
    expect(view.marks.map(({ kind, keyspace }) => [kind, keyspace])).toEqual([
      ...[
        ["split", "kv"],
        ["split", "kv"],
      ],
    ]);
    expect(view.marks.map(({ hash }) => hash)).toContain(67_108_864);
    // Told by who carried it out, and once, as is the leader of each shard.
    const texts = view.happenings.map(({ text }) => text);
    expect(texts.filter((text) => text.includes("kv_0 gave half"))).toHaveLength(1);
    expect(new Set(texts).size).toBe(texts.length);
    expect(view.sample.rates.commandsPerSecond).toBeGreaterThan(0);
    // Who looks later is told the past.
    const later = await look(address, () => true);
    expect(later.past.samples.map(keysOf)).toContain(200);
  });

  test("ends with its node, and comes back with it", async () => {
    const node = newNode();
    await node.fleet.activate("zone");
    const { address, close } = await node.fleet.dashboard({ port: 0 });
    const response = await openStream(address);
    const read = response.text();
    await node.close();
    expect(await read).toMatch(/^event: past\n/);
    const away = await openStream(address);
    expect([away.status, await away.json()]).toMatchObject([
      503,
      { error: { code: "NOT_ACTIVE" } },
    ]);
    await node.fleet.activate("zone");
    await look(address, ({ ready }) => ready);
    await close();
  });

  test("shows a cluster's zones, leaders and lost nodes, from any node", async () => {
    const { nodes } = await startCluster(3);
    await allKnow(nodes, 3);
    const [first, , third] = nodes as [RaftKVNode, RaftKVNode, RaftKVNode];
    const policy = { maxShards: 1 };
    for (const node of nodes) {
      await node.kv.init();
      await node.kv.openKeyspace("counts", counterModule, null, policy);
      // Of one replica: some are on other nodes alone, and the serving node has to ask for them.
      for (const name of ["single1", "single2", "single3"]) {
        await node.kv.openKeyspace(name, counterModule, null, policy, { replicas: 1 });
      }
    }
    await eventually("all groups have their members", async () => {
      const groups = await first.fleet.admin.groups();
      return groups.every(({ state, members, replicas }) => {
        return state === "ok" && members.length === Math.min(replicas, nodes.length);
      });
    });
    const { address } = await first.fleet.dashboard({ port: 0 });
    const { view } = await look(address, ({ groups, nodes: shown }) => {
      const led = groups.every(({ leader, members }) => members.includes(leader ?? ""));
      return led && shown.every(({ health }) => health === "active");
    });
    expect(view.nodes.map(({ zone }) => zone)).toEqual(["a", "b", "c"]);
    expect(view.groups.map(({ name }) => name)).toEqual([
      ...["RaftFleet.Fleet", "RaftKV.Keyspaces", "counts_0"],
      ...["single1_0", "single2_0", "single3_0"],
    ]);
    const own = await first.fleet.nodeName();
    expect(view.groups.some(({ members }) => !members.includes(own))).toBe(true);
    expect(view.nodes.reduce((sum, { leads }) => sum + leads, 0)).toBe(view.groups.length);
    const lost = await third.fleet.nodeName();
    await third.close();
    const after = await look(address, (now) =>
      now.nodes.some(({ name, health }) => name === lost && health === "unreachable"),
    );
    expect(after.view.nodes.find(({ name }) => name === lost)?.zone).toBe("c");
  });
});
