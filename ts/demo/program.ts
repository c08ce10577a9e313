/** The README example, told as it goes: what it writes, how shards split, what a restart finds. */
import { RaftFleet, RaftKV, SplitMergePolicy, type ValuePerKey } from "raft-kv";
import { drawShards } from "./shard-picture.ts";

/** What the program tells its parent. */
export type Report =
  | { readonly type: "line"; readonly text: string }
  | { readonly type: "acknowledged"; readonly count: number }
  | { readonly type: "failed"; readonly text: string };

type Command = { set: unknown } | "unset";

const KV: ValuePerKey<unknown, string, Command, "ok", "get", unknown> = {
  command: (_previous, _size, _key, arg) =>
    arg === "unset" ? ["ok", 5, undefined, 0] : ["ok", 5, arg.set, 0],
  query: (value) => [value, 1],
};

const KEYS = 200;
const WAIT_MS_MAX = 20_000;

/** Runs the example on a directory; on one that was used before it goes on from there. */
export async function runProgram(dataDir: string, tell: (report: Report) => void): Promise<void> {
  const say = (text: string) => tell({ type: "line", text });
  try {
    await RaftFleet.activate("some_zone", { dataDir });
    await RaftKV.init();
    const policy = new SplitMergePolicy({ maxShards: 16, maxKeysPerShard: 100 });
    const again = (await RaftKV.listKeyspaces()).includes("kv");
    const kv = await RaftKV.openKeyspace("kv", KV, null, policy);
    if (again) await tellWhatIsThere(say);
    else say(`get("foo") before anything was set: ${String(await kv.query("foo", "get"))}`);

    say(`setting ${KEYS} keys, at most 100 for each shard ...`);
    for (let at = 0; at < KEYS; at++) {
      await kv.command(`key-${at}`, { set: at });
      tell({ type: "acknowledged", count: at + 1 });
    }
    await waitForShards(3, say);
    say("removing them all ...");
    await Promise.all(Array.from({ length: KEYS }, (_, at) => kv.command(`key-${at}`, "unset")));
    await waitForShards(1, say);
    await RaftFleet.deactivate();
  } catch (error) {
    tell({
      type: "failed",
      text: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    process.exitCode = 1;
  }
}

async function tellWhatIsThere(say: (text: string) => void): Promise<void> {
  let count = 0;
  for await (const key of RaftKV.keys("kv")) {
    const value = await RaftKV.query("kv", key, "get");
    if (`key-${String(value)}` === key) count++;
  }
  say(`the same directory, opened again: ${count} keys are there, each with its value`);
  say(drawShards(await RaftKV.shards("kv")));
}

async function waitForShards(wanted: number, say: (text: string) => void): Promise<void> {
  const started = performance.now();
  let shown = "";
  for (;;) {
    const shards = await RaftKV.shards("kv");
    const picture = drawShards(shards);
    if (picture !== shown) {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      say(`after ${seconds} s:\n${picture}`);
      shown = picture;
    }
    if (shards.length === wanted && shards.every(({ state }) => state === "serving")) return;
    if (performance.now() - started > WAIT_MS_MAX) {
      throw new Error(`there should be ${wanted} shards by now, and there are ${shards.length}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
