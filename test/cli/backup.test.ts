/** `raft-kv backup`, `restore` and `recover`, as they are built. */
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ProgressBar } from "../../ts/cli/progress.ts";
import { Screen } from "../../ts/cli/screen.ts";
import type { BackupView, RaftKVNode } from "../../ts/index.ts";
import { allKnow, startCluster } from "../node/support/cluster.ts";
import { mapModule } from "../node/support/modules.ts";
import { newNode, scratchDirectory } from "../node/support/nodes.ts";
import { addGroups, inPlace } from "../node/support/placement.ts";
import { json, raftKv } from "./support.ts";

const TOKEN = "a-token-that-is-long-enough";
const LARGE = { map: new Map([["text", "x".repeat(2_000_000)]]) };

/** A node with the code of the keyspace "kv", and what runs the command line on it. */
async function openNode() {
  const node = newNode({ admin: { port: 0, token: TOKEN } });
  await node.fleet.activate("zone");
  await node.kv.init();
  await node.kv.openKeyspace("kv", mapModule, null, { maxShards: 4 });
  const RAFT_KV_CONNECT = node.fleet.adminAddress as string;
  const environment = { RAFT_KV_CONNECT, RAFT_KV_ADMIN_TOKEN: TOKEN };
  return { node, run: (...args: string[]) => raftKv(args, environment) };
}

test("a backup is written, checked, and restored elsewhere", async () => {
  const directory = join(scratchDirectory(), "backup");
  const from = await openNode();
  const { kv, fleet } = from.node;
  for (let at = 0; at < 500; at++) await kv.command("kv", at, { set: new Date(at) });
  await kv.command("kv", "large", { set: LARGE });
  await fleet.admin.split("kv_0");
  const written = await from.run("backup", directory);
  expect([written.code, written.errors]).toEqual([0, ""]);
  expect(written.output).toMatch(/^kv +501 +\d +[\d.]+ MiB +1-kv.entries$/m);
  expect(written.output).toContain(`${directory} is written: 501 keys`);
  const again = await from.run("backup", directory);
  expect([again.code, again.errors]).toEqual([1, expect.stringContaining("is not empty")]);
  const none = await json(
    from
      .run("backup", `${directory}-2`, "--keyspaces", "none", "--json")
      .then(({ errors, ...ended }) => ({ ...ended, output: errors, errors: "" })),
    1,
  );
  expect(none).toMatchObject({ error: { code: "NO_SUCH_KEYSPACE", action: "fix" } });
  await from.node.close();

  // Nobody listens where this would ask.
  const nowhere = { RAFT_KV_CONNECT: "127.0.0.1:1" };
  const checked = await raftKv(["backup", "--status", directory], nowhere);
  expect(checked.output).toContain(`${directory} is whole: 501 keys`);
  const view = (await json(
    raftKv(["backup", directory, "--status", "--json"], nowhere),
  )) as BackupView;
  expect(view).toMatchObject({ keys: 501, keyspaces: [{ name: "kv", ranges: [{}, {}] }] });
  const unasked = await raftKv(["restore", directory, "--yes"], nowhere);
  expect([unasked.code, unasked.errors]).toEqual([1, expect.stringContaining("nothing listens")]);

  const to = await openNode();
  const refused = await to.run("restore", directory);
  expect([refused.code, refused.errors]).toEqual([1, expect.stringContaining("--yes")]);
  expect(await json(to.run("restore", directory, "--yes", "--json"))).toEqual({
    ...{ directory, keys: 501 },
    keyspaces: [{ name: "kv", keys: 501, placed: 501, equal: 0, overwritten: 0 }],
  });
  expect(await to.node.kv.query("kv", "large", "get")).toEqual(LARGE);
  expect(await to.node.kv.query("kv", 77, "get")).toEqual(new Date(77));
  await to.node.kv.command("kv", 77, { set: "other" });
  const conflict = await to.run("restore", directory, "--yes");
  expect(conflict.code).toBe(1);
  expect(conflict.errors).toMatch(/^raft-kv: the key 77 of keyspace kv .*\(RESTORE_CONFLICT\)\n$/);
  const overwritten = await to.run("restore", directory, "--yes", "--overwrite");
  expect(overwritten.output).toMatch(/^kv +501 +1 +1 +500$/m);

  const file = join(directory, "1-kv.entries");
  truncateSync(file, readFileSync(file).length - 1);
  const cut = await raftKv(["backup", "--status", directory, "--json"], nowhere);
  expect([cut.code, cut.output]).toEqual([1, ""]);
  const { error } = JSON.parse(cut.errors);
  expect(error).toMatchObject({ code: "BACKUP_DAMAGED", message: expect.stringContaining(file) });
  writeFileSync(join(directory, "backup.json"), "{}");
  const empty = await to.run("restore", directory, "--yes");
  expect([empty.code, empty.errors]).toEqual([1, expect.stringContaining("backup.json")]);
});

test("a cluster that lost its majority goes on without the lost nodes", async () => {
  const { nodes } = await startCluster(3, { admin: { port: 0 } });
  await allKnow(nodes, 3);
  await addGroups(nodes, ["alpha"]);
  await inPlace(nodes);
  const [first, second, third] = nodes as [RaftKVNode, RaftKVNode, RaftKVNode];
  await first.fleet.command("alpha", "add");
  const lost = await Promise.all([second, third].map(({ fleet }) => fleet.nodeName()));
  const connect = ["--connect", first.fleet.adminAddress as string];
  const alive = await raftKv(["recover", ...lost, "--yes", ...connect]);
  expect([alive.code, alive.errors]).toEqual([1, expect.stringContaining("is not lost")]);
  await Promise.all([second.close(), third.close()]);
  const names = lost.map((name) => name.replace("node-", ""));
  const unsure = await raftKv(["recover", ...names, ...connect]);
  expect([unsure.code, unsure.errors]).toEqual([1, expect.stringContaining("--yes")]);
  const recovered = await raftKv(["recover", ...names, "--yes", ...connect]);
  expect([recovered.code, recovered.errors]).toEqual([0, ""]);
  expect(recovered.output).toMatch(/^alpha +recovered +\w+ +a majority of its replicas is lost/m);
  expect(recovered.output).toContain("the cluster goes on without 2 nodes\n");
  expect(await first.fleet.command("alpha", "add")).toBe(2);
  expect((await raftKv(["recover"])).errors).toContain("NODE... is missing");
});

test("a bar shows people how far work has come, and a file nothing", () => {
  const written: string[] = [];
  const write = (text: string) => written.push(text) > 0;
  const terminal = { isTTY: true, columns: 50, write } as unknown as NodeJS.WriteStream;
  const bar = new ProgressBar(new Screen(terminal, {}), false);
  bar.update(0, "nothing yet");
  bar.update(0.5, "half");
  bar.update(0.5, "half");
  bar.update(1, "a text that is longer than the terminal is wide");
  expect(written).toEqual([
    `\u001b[0J${"·".repeat(30)} nothing yet\n`,
    `\u001b[1A\u001b[0J${"█".repeat(15)}${"·".repeat(15)} half\n`,
    `\u001b[1A\u001b[0J${"█".repeat(30)} a text that is lon\n`,
  ]);
  written.length = 0;
  new ProgressBar(new Screen(terminal, {}), true).update(0.5, "half");
  const file = { write } as unknown as NodeJS.WriteStream;
  new ProgressBar(new Screen(file, {}), false).update(0.5, "half");
  expect(written).toEqual([]);
});
