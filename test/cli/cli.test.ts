/** `npx raft-kv` as it is built, against a node of this process and its admin server. */
import { describe, expect, test } from "vitest";
import type { RaftKVNode } from "../../ts/index.ts";
import { look, openStream } from "../dashboard/support/stream.ts";
import { allKnow, freeAddresses, startCluster } from "../node/support/cluster.ts";
import { counterModule } from "../node/support/modules.ts";
import { newNode } from "../node/support/nodes.ts";
import { eventually } from "../node/support/waiting.ts";
import type { Ended } from "../process/support/programs.ts";
import { json, raftKv, startRaftKv } from "./support.ts";

const TOKEN = "a-token-that-is-long-enough";

/** A node with 60 keys in the keyspace "counts", and what runs the command line on it. */
async function openNode(): Promise<{
  node: RaftKVNode;
  run: (...args: string[]) => Promise<Ended>;
}> {
  const node = newNode({ admin: { port: 0, token: TOKEN } });
  await node.fleet.activate("zone");
  await node.kv.init();
  await node.kv.registerKeyspace("counts", counterModule, null, { maxShards: 4 });
  for (let at = 0; at < 60; at++) await node.kv.command("counts", `key-${at}`, "add");
  const environment = {
    RAFT_KV_CONNECT: node.fleet.adminAddress as string,
    RAFT_KV_ADMIN_TOKEN: TOKEN,
  };
  return { node, run: (...args) => raftKv(args, environment) };
}

describe("on a node", () => {
  test("every verb that looks prints a table for people and JSON for programs", async () => {
    const { node, run } = await openNode();
    const name = await node.fleet.nodeName();
    await eventually("figures", async () => (await node.fleet.admin.status()).keys === 60);
    const expected: readonly (readonly [string[], RegExp, unknown])[] = [
      [["status"], /^health +healthy$/m, { healthy: true, keys: 60, node: name }],
      [["nodes"], new RegExp(`^${name} +zone +active`, "m"), [{ name, state: "active" }]],
      [["groups"], new RegExp(`^counts_0 +ok +${name}`, "m"), expect.any(Array)],
      [["keyspaces"], /^counts +1\/4 +60 /m, [{ name: "counts", keys: 60 }]],
      [["shards", "counts"], /^█+ +counts_0 +60 /m, [{ name: "counts_0", keys: 60 }]],
      [["top"], /^counts_0 /m, { shards: [{ shard: "counts_0" }] }],
      [["verify"], /^counts_0 +\d+ +equal +[0-9a-f]{16} on 1 replica$/m, { verified: true }],
      [["verify", "counts_0"], /^counts_0 +\d+ +equal /m, { verified: true }],
      [["get", "counts", "key-7"], /^1$/m, { found: true, value: 1 }],
    ];
    for (const [args, text, document] of expected) {
      const { output, errors, code } = await run(...args);
      expect([code, errors], args.join(" ")).toEqual([0, ""]);
      expect(output).toMatch(text);
      // Nothing is coloured that goes to a program.
      expect(output).not.toContain("\u001b");
      expect(await json(run(...args, "--json"))).toMatchObject(document as object);
    }
    const keys = (await run("keys", "counts")).output.trim().split("\n");
    expect(keys.sort()).toEqual(Array.from({ length: 60 }, (_, at) => `key-${at}`).sort());
    expect((await run("keys", "counts", "--limit", "5")).output.trim().split("\n")).toHaveLength(5);
    expect(await json(run("sysdump"))).toMatchObject({ status: { healthy: true } });
  });

  test("verbs that change something ask, and do it with --yes", async () => {
    const { node, run } = await openNode();
    const refused = await run("split", "counts_0");
    expect(refused.code).toBe(1);
    expect(refused.errors).toContain("--yes");
    expect(await json(run("split", "counts_0", "--yes", "--json"))).toEqual({
      ...{ from: "counts_0", to: "counts_67108864" },
    });
    expect((await run("merge", "counts_67108864", "-y")).output).toBe(
      "counts_67108864 was merged into counts_0\n",
    );
    expect(await json(run("command", "counts", '"5"', '"add"', "--yes"))).toBe(1);
    expect(await json(run("query", "counts", '"5"', "get"))).toBe(1);
    expect(await node.kv.query("counts", "5", "get")).toBe(1);
    const absent = await run("get", "counts", "5");
    expect([absent.code, absent.output]).toEqual([1, ""]);
  });

  test("what is refused ends with 1 and the error's code, what is unsafe with 3", async () => {
    const { node, run } = await openNode();
    const missing = await run("shards", "count");
    expect([missing.code, missing.output]).toEqual([1, ""]);
    expect(missing.errors).toBe(
      "raft-kv: There is no keyspace count. Is counts meant? (NO_SUCH_KEYSPACE)\n",
    );
    const forPrograms = await run("merge", "counts_0", "--yes", "--json");
    expect(JSON.parse(forPrograms.errors)).toMatchObject({ error: { code: "MERGE_IMPOSSIBLE" } });
    const name = await node.fleet.nodeName();
    const unsafe = await run("safe-to-stop", name.replace("node-", ""));
    expect(unsafe.code).toBe(3);
    expect(unsafe.output).toContain("only replica");
    expect(await json(run("safe-to-stop", name, "--json"), 3)).toMatchObject({ safe: false });
    const stranger = await raftKv(["status", "--connect", node.fleet.adminAddress as string]);
    expect([stranger.code, stranger.output]).toEqual([1, ""]);
    expect(stranger.errors).toContain("ACCESS_DENIED");
  });
});

test("dashboard serves the page here, and shows who has its link what the node tells", async () => {
  const { node } = await openNode();
  const environment = {
    RAFT_KV_CONNECT: node.fleet.adminAddress as string,
    RAFT_KV_ADMIN_TOKEN: TOKEN,
  };
  const { process: child, ended, line } = startRaftKv(["dashboard"], environment);
  const url = new URL(await line((text) => text.startsWith("http://")));
  const token = new URLSearchParams(url.hash.slice(1)).get("token") as string;
  expect(url.hostname).toBe("127.0.0.1");
  // The node's own token stays with the command line.
  expect(token).not.toContain(TOKEN);
  expect(await (await fetch(url)).text()).toContain("<title>raft-kv</title>");
  expect((await openStream(url.host)).status).toBe(401);
  expect((await openStream(url.host, TOKEN)).status).toBe(401);
  const { view } = await look(url.host, ({ keyspaces }) => keyspaces[0]?.keys === 60, token);
  expect(view.node).toBe(await node.fleet.nodeName());
  await node.close();
  await eventually("the page is told that the node is away", async () => {
    return (await openStream(url.host, token)).status === 503;
  });
  child.kill("SIGINT");
  expect(await ended).toMatchObject({ code: 0, errors: "" });
});

test("demo plays in a browser too, until it is asked to end", async () => {
  const { process: child, ended, line } = startRaftKv(["demo", "--dashboard"]);
  const url = new URL(await line((text) => text.startsWith("http://")));
  const { view } = await look(url.host, ({ marks }) => marks.length > 0);
  expect(view.marks[0]).toMatchObject({ kind: "split", keyspace: "kv", hash: 67_108_864 });
  child.kill("SIGINT");
  expect(await ended).toMatchObject({ code: 0, errors: "" });
});

test("what is written wrongly ends with 2 and a guess", async () => {
  const cases: readonly (readonly [string[], string])[] = [
    [["statsu"], "Is status meant?"],
    [["shards"], "KEYSPACE is missing"],
    [["nodes", "more"], "more is too much"],
    [["nodes", "--jsno"], "Is --json meant?"],
    [["nodes", "--connect", "nowhere"], "HOST:PORT"],
    [["nodes", "--token-file", "/no/such/file"], "cannot be read"],
    [["--json", "nodes"], "the verb comes first"],
    [["top", "--limit", "x"], "--limit takes a number"],
    [["dashboard", "--port", "x"], "--port takes a number"],
  ];
  for (const [args, hint] of cases) {
    const { code, output, errors } = await raftKv(args);
    expect([code, output], args.join(" ")).toEqual([2, ""]);
    expect(errors).toContain(hint);
  }
});

test("help tells of every verb, and of each in a line that fits", async () => {
  const { output, code } = await raftKv(["--help"]);
  expect(code).toBe(0);
  expect(Math.max(...output.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  const names = [...output.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name as string);
  expect(names).toContain("transfer-leader");
  for (const name of names) {
    const help = await raftKv([name, "--help"]);
    expect([help.code, help.output.startsWith(`Usage: raft-kv ${name}`)]).toEqual([0, true]);
    expect(Math.max(...help.output.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  }
});

test("a node that is not there is said to be", async () => {
  const [address] = await freeAddresses(1);
  for (const verb of ["status", "dashboard"]) {
    const { code, errors } = await raftKv([verb, "--connect", address as string]);
    expect(code).toBe(1);
    expect(errors).toContain(`nothing listens at ${address}`);
  }
});

test("a cluster is moved through any node, and its trouble ends with 3", async () => {
  const { nodes } = await startCluster(3, { admin: { port: 0 } });
  await allKnow(nodes, 3);
  const [first, , third] = nodes as [RaftKVNode, RaftKVNode, RaftKVNode];
  const connect = ["--connect", first.fleet.adminAddress as string];
  const name = await third.fleet.nodeName();
  const group = "RaftFleet.Fleet";
  await eventually("three voters", async () => {
    const groups = await first.fleet.admin.groups();
    return groups.every(({ members, state }) => members.length === 3 && state === "ok");
  });
  const led = await raftKv(["transfer-leader", group, name, "--yes", ...connect]);
  expect([led.output, led.errors]).toEqual([`${name} leads ${group}\n`, ""]);
  const drained = await raftKv(["drain", name, "--yes", ...connect]);
  expect(drained.output).toBe(`${name} is drained: it may be stopped\n`);
  expect((await raftKv(["safe-to-stop", name, ...connect])).code).toBe(0);
  await third.close();
  await eventually("the lost node", async () => !(await first.fleet.admin.status()).healthy);
  const { code, output } = await raftKv(["status", ...connect]);
  expect(code).toBe(3);
  expect(output).toContain(`! node ${name} is out of reach since`);
});
