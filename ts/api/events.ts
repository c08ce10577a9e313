/** What a node tells its program without being asked. */
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

/** The events of `RaftKV.events`, each with the arguments of its listeners. */
export interface RaftKVEvents {
  split: [ShardMove];
  merge: [ShardMove];
  /** A group has another leader, or none for the time being. */
  leaderChange: [{ readonly group: string; readonly node: string | null }];
  nodeUnreachable: [{ readonly node: string; readonly since: Date }];
  nodePurged: [{ readonly node: string }];
  /** A replica's state differed from its leader's: user code that is not pure. */
  replicaDivergence: [
    {
      readonly group: string;
      readonly keyspace?: string;
      readonly shard?: string;
      readonly index: number;
    },
  ];
  /** Something went wrong that needs attention and ended no call. */
  warning: [RaftKVError];
}

/** A typed `EventEmitter`; listeners that throw disturb nothing but themselves. */
export class RaftKVEventEmitter extends EventEmitter<RaftKVEvents> {
  override emit<Name extends keyof RaftKVEvents>(name: Name, ...args: RaftKVEvents[Name]): boolean {
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
