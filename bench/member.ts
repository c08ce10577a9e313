/**
 * A node of the measured cluster, in a process of its own: it does what its parent's messages say
 * and answers each with `{ id, result }` or `{ id, error }`. Its options are its only argument.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, SplitMergePolicy } from "raft-kv";
import { registers } from "./contenders/raft-kv.ts";
import { counter, groupNames, inTurns } from "./idle-groups.ts";

/** What a member can be asked. */
export interface MemberRequest {
  readonly id: number;
  readonly call:
    | ("activate" | "deactivate" | "open" | "cpu" | "memory")
    | ("bindGroups" | "addGroups" | "useGroups");
  /** The keyspaces to open. */
  readonly keyspaces?: readonly string[];
  /** How many groups of a program there are. */
  readonly groups?: number;
}

const POLL_MS = 50;

const node = createNode(JSON.parse(process.argv[2] ?? "{}"));

/** Adds groups, and waits until each has its three members and a leader. */
async function addGroups(names: readonly string[]): Promise<void> {
  await inTurns(names, (name) => node.fleet.addConsensusGroup(name, 3, { module: counter }));
  for (;;) {
    const views = await node.fleet.admin.groups();
    const whole = views.filter(({ system, state, members }) => {
      return !system && state === "ok" && members.length === 3;
    });
    if (whole.length === names.length) return;
    await sleep(POLL_MS);
  }
}

async function answer({ call, keyspaces = [], groups = 0 }: MemberRequest): Promise<string> {
  const names = groupNames(groups);
  if (call === "memory") return String(process.memoryUsage().rss);
  if (call === "bindGroups") for (const name of names) node.fleet.bindGroupModule(name, counter);
  if (call === "addGroups") await addGroups(names);
  if (call === "useGroups") await inTurns(names, (name) => node.fleet.command(name, 1));
  if (call === "cpu") {
    const { user, system } = process.cpuUsage();
    return String(user + system);
  }
  if (call === "deactivate") {
    await node.fleet.deactivate();
    return "";
  }
  if (call === "activate") {
    await node.fleet.activate("bench");
    await node.kv.init();
  }
  const policy = new SplitMergePolicy({ maxShards: 1 });
  for (const name of keyspaces) await node.kv.openKeyspace(name, registers, null, policy);
  return node.fleet.nodeName();
}

process.on("message", (request: MemberRequest) => {
  answer(request).then(
    (result) => process.send?.({ id: request.id, result }),
    (error: unknown) => process.send?.({ id: request.id, error: String(error) }),
  );
});
// A benchmark that was stopped leaves no process behind.
process.on("disconnect", () => process.exit());
