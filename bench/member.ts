/**
 * A node of the measured cluster, in a process of its own: it does what its parent's messages say
 * and answers each with `{ id, result }` or `{ id, error }`. Its options are its only argument.
 */
import { createNode, SplitMergePolicy } from "raft-kv";
import { registers } from "./contenders/raft-kv.ts";

/** What a member can be asked. */
export interface MemberRequest {
  readonly id: number;
  readonly call: "activate" | "deactivate" | "open" | "cpu";
  /** The keyspaces to open. */
  readonly keyspaces?: readonly string[];
}

const node = createNode(JSON.parse(process.argv[2] ?? "{}"));

async function answer({ call, keyspaces = [] }: MemberRequest): Promise<string> {
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
