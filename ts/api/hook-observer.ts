/** Calls a keyspace's leader hook, only while this node leads the shard. */
import { RaftKVError } from "../errors.ts";
import type { ShardObserver } from "../shard/observer.ts";
import type { Core } from "./core.ts";
import type { LocalKeyspace } from "./keyspaces.ts";

/** See the head of this file. */
export class HookObserver {
  readonly core: Core;
  readonly keyspace: LocalKeyspace;
  readonly group: number;
  constructor(core: Core, keyspace: LocalKeyspace, group: number) {
    this.core = core;
    this.keyspace = keyspace;
    this.group = group;
  }
}
