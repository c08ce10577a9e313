/** What a node tells its program without being asked. */
import { type Channel, channel } from "node:diagnostics_channel";
import { EventEmitter } from "node:events";
import type { RaftKVError } from "../errors.ts";

/** A shard was split or two were merged. */
export interface ShardMove {
  readonly keyspace: string;
  /** The shard that gave keys away; after a merge it is gone. */
  readonly from: string;
  /** The shard that took them. */
  readonly to: string;
  /** How long a request for a moved key could have had to wait, in milliseconds. */
  readonly pause: number;
}

/** A replica that was found to have another state than the one that leads its group. */
export interface ReplicaDivergence {
  readonly group: string;
  /** Of a shard: its keyspace, and its own name. */
  readonly keyspace?: string;
  readonly shard?: string;
  /** The index in the group's log at which the states were compared. */
  readonly index: number;
  /** The node of the replica, and the one that led. */
  readonly node: string;
  readonly leader: string;
  /** Checksums of the two states, 16 hexadecimal digits each. */
  readonly checksum: string;
  readonly leaderChecksum: string;
}

/** The events of `RaftKV.events`, each with the arguments of its listeners. */
export interface RaftKVEvents {
  split: [ShardMove];
  merge: [ShardMove];
  /** A group has another leader, or none for the time being. */
  leaderChange: [{ readonly group: string; readonly node: string | null }];
  nodeUnreachable: [{ readonly node: string; readonly since: Date }];
  nodePurged: [{ readonly node: string }];
  /**
   * A replica's state was not its leader's: it serves no more, and is rebuilt from the leader's.
   * Told on the node of the replica, and on the one that leads.
   */
  replicaDivergence: [ReplicaDivergence];
  /** Something went wrong that needs attention and ended no call. */
  warning: [RaftKVError];
}

/** The same events of all nodes of the process, for `node:diagnostics_channel`. */
const CHANNELS: Readonly<Record<keyof RaftKVEvents, Channel>> = {
  split: channel("raft-kv:split"),
  merge: channel("raft-kv:merge"),
  leaderChange: channel("raft-kv:leaderChange"),
  nodeUnreachable: channel("raft-kv:nodeUnreachable"),
  nodePurged: channel("raft-kv:nodePurged"),
  replicaDivergence: channel("raft-kv:replicaDivergence"),
  warning: channel("raft-kv:warning"),
};

/** A typed `EventEmitter`; listeners that throw disturb nothing but themselves. */
export class RaftKVEventEmitter extends EventEmitter<RaftKVEvents> {
  /** @internal How often each event was told, whether anybody listened or not. */
  readonly counts = new Map<keyof RaftKVEvents, number>();

  override emit<Name extends keyof RaftKVEvents>(name: Name, ...args: RaftKVEvents[Name]): boolean {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    const { [name]: heard } = CHANNELS;
    if (heard.hasSubscribers) heard.publish(args[0]);
    let called = false;
    for (const listener of this.rawListeners(name)) {
      called = true;
      try {
        (listener as (...given: RaftKVEvents[Name]) => void).apply(this, args);
      } catch (error) {
        // The program's own handler of uncaught errors gets it, but not in the middle of our work.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    return called;
  }
}
