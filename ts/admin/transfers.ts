/** Splits and merges that an operator asks for: started, followed to their end, and judged. */
import type { TransferWorkflow, Workflow } from "../directory/workflow.ts";
import { RaftKVError } from "../errors.ts";
import { shardRead } from "../shard/requests.ts";
import { findShard } from "./finding.ts";
import type { AdminPorts } from "./ports.ts";
import type { MovedShard } from "./types.ts";
import { until } from "./waiting.ts";

/** Splits a shard in the middle of its hash range. */
export async function splitShard(ports: AdminPorts, name: string): Promise<MovedShard> {
  const { group } = findShard(ports, name);
  const statistics = await ports.shardRead(group, shardRead.statistics());
  if (statistics.type === "statistics" && statistics.keys === 1) {
    const message = `shard ${name} has one key, and a key cannot be divided`;
    throw new RaftKVError("SPLIT_IMPOSSIBLE", message, { shard: name, outcome: "not applied" });
  }
  return carryOut(ports, "split", name);
}

/** Merges a shard into its left neighbour. */
export async function mergeShard(ports: AdminPorts, name: string): Promise<MovedShard> {
  findShard(ports, name);
  return carryOut(ports, "merge", name);
}

async function carryOut(
  ports: AdminPorts,
  type: "split" | "merge",
  shard: string,
): Promise<MovedShard> {
  const { workflow } = await ports.directoryCommand({ type, shard, ...ports.ownership() });
  const { id, sender, receiver } = workflow as TransferWorkflow;
  let last: Workflow = workflow;
  await until(ports, `the ${type} of ${shard}`, () => {
    const { workflows, nextWorkflow } = ports.directory();
    last = workflows.get(id) ?? last;
    // The answer may be here before this node's state of the directory is.
    return nextWorkflow > id && !workflows.has(id);
  });
  if (!isDone(ports, workflow as TransferWorkflow)) {
    const why = last.reason === null ? "" : `: ${last.reason}`;
    const message = `the ${type} of ${shard} was given up, and nothing was moved${why}`;
    throw new RaftKVError("SHARD_BUSY", message, { shard, outcome: "not applied" });
  }
  return { from: sender.name, to: receiver.name };
}

/** Does the directory show what the transfer was to lead to? */
function isDone(ports: AdminPorts, { kind, keyspace, sender, receiver }: TransferWorkflow) {
  const shards = ports.directory().keyspaces.get(keyspace)?.shards ?? [];
  const has = ({ token }: { token: string }) => shards.some((shard) => shard.token === token);
  return kind === "split" ? has(receiver) : !has(sender);
}
