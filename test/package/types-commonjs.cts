// The types from a CommonJS module.
import raftKV = require("raft-kv");
import testing = require("raft-kv/testing");

export async function main(): Promise<void> {
  const node = raftKV.createNode({ dataDir: ":memory:" });
  await node.fleet.activate("zone");
  try {
    await node.kv.listKeyspaces();
  } catch (error) {
    if (error instanceof raftKV.RaftKVError) console.log(error.code, error.action);
  }
  await node.close();
}

export function check(module: raftKV.ValuePerKey): boolean {
  return testing.checkValuePerKey(module, { commands: () => 1, count: 10 }).ok;
}
