/** The cluster that a backup is made of, seen from one of its nodes. */
import type {
  BackupSource,
  ClusterDescription,
  EntriesPiece,
  OpenedRange,
} from "../../backup/ports.ts";
import { pause } from "../../client/pause.ts";
import { RaftKVError } from "../../errors.ts";
import { BACKUP_OWNER_POLL_MS, BACKUP_OWNER_WAIT_MS, HASH_END } from "../../limits.ts";
import { findKeyspace } from "../finding.ts";
import { keyspaceViews } from "../overview.ts";
import type { AdminPorts } from "../ports.ts";

/** See the head of this file. */
export class ClusterSource implements BackupSource {
  private readonly ports: AdminPorts;

  constructor(ports: AdminPorts) {
    this.ports = ports;
  }

  async describe(): Promise<ClusterDescription> {
    const { ports } = this;
    // Nobody is asked for the keyspaces, so what is known of them here has to be up to date.
    await ports.directoryCommand({ type: "report", now: Date.now(), shards: [] });
    const keyspaces = keyspaceViews(ports.directory()).map(({ name, policy, replicas }) => ({
      ...{ name, policy, replicas },
    }));
    const { clusterId } = ports.fleet();
    return { clusterName: ports.clusterName, clusterId, keyspaces };
  }

  async open(keyspace: string, from: number): Promise<OpenedRange> {
    if (!Number.isInteger(from) || from < 0 || from >= HASH_END) {
      throw new RaftKVError("INVALID_ARGUMENT", `${from} is no hash`);
    }
    const { ports } = this;
    const end = performance.now() + BACKUP_OWNER_WAIT_MS;
    for (;;) {
      ports.checkOpen();
      const { shards } = findKeyspace(ports, keyspace);
      const shard = shards.find((known) => known.start <= from && from < known.end);
      try {
        if (shard === undefined) throw noLeader(keyspace);
        const leader = await ports.leader(shard.group);
        if (leader === 0) throw noLeader(shard.name);
        const begun = await ports.readings.begin(leader, shard.group, from);
        const node = ports.nameOf(leader);
        const reading = `${leader}:${begun.reading}`;
        const at = new Date(begun.at).toISOString();
        return { ...begun, reading, at, node, shard: shard.name };
      } catch (error) {
        const passes = error instanceof RaftKVError && error.action === "retry";
        if (!passes || performance.now() > end) throw error;
      }
      await pause(BACKUP_OWNER_POLL_MS);
    }
  }

  async next(reading: string): Promise<EntriesPiece | null> {
    const [node, number] = partsOf(reading);
    return this.ports.readings.next(node, number);
  }

  async close(reading: string): Promise<void> {
    const [node, number] = partsOf(reading);
    await this.ports.readings.close(node, number);
  }
}

function partsOf(reading: string): [node: number, number: number] {
  const [node, number] = reading.split(":").map(Number);
  if (!Number.isSafeInteger(node) || !Number.isSafeInteger(number)) {
    throw new RaftKVError("INVALID_ARGUMENT", `${JSON.stringify(reading)} names no reading`);
  }
  return [node as number, number as number];
}

function noLeader(shard: string): RaftKVError {
  const message = `no node leads ${shard} at present`;
  return new RaftKVError("NO_LEADER", message, { shard, outcome: "not applied" });
}
