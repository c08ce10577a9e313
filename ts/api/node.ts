/** Independent nodes, several of which can live in one process. */
import { NodeLifecycle } from "./lifecycle.ts";
import type { MetricsOptions } from "./node-metrics.ts";
import type { NodeOptions, NodeSettings } from "./options.ts";
import { RaftFleetFunctions } from "./raft-fleet.ts";
import { RaftKVFunctions } from "./raft-kv.ts";

/** A node: everything that `RaftFleet` and `RaftKV` are for the process's default node. */
export interface RaftKVNode extends AsyncDisposable {
  /** Nodes, and consensus groups for any replicated value. */
  readonly fleet: RaftFleetFunctions;
  /** Keyspaces. */
  readonly kv: RaftKVFunctions;
  /** The options in force: arguments, environment and defaults together. */
  readonly options: NodeSettings;
  /** The node's metrics in Prometheus' text format; see `RaftFleet.metrics`. */
  metrics(options?: MetricsOptions): Promise<string>;
  /** Closes the node; what was acknowledged is on disk. Repeated calls are harmless. */
  close(): Promise<void>;
  /** Lets the open node hold the process alive, which is the default. */
  ref(): void;
  /** Lets the process exit although the node is open. */
  unref(): void;
}

/** A node on its lifecycle. */
export class Node implements RaftKVNode {
  readonly fleet: RaftFleetFunctions;
  readonly kv: RaftKVFunctions;
  private readonly lifecycle: NodeLifecycle;

  constructor(lifecycle: NodeLifecycle) {
    this.lifecycle = lifecycle;
    this.fleet = new RaftFleetFunctions(lifecycle);
    this.kv = new RaftKVFunctions(lifecycle);
  }

  get options(): NodeSettings {
    return this.lifecycle.current;
  }

  metrics(options?: MetricsOptions): Promise<string> {
    return this.fleet.metrics(options);
  }

  close(): Promise<void> {
    return this.lifecycle.close();
  }

  ref(): void {
    this.lifecycle.ref();
  }

  unref(): void {
    this.lifecycle.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * A further node, independent of the default one. It is inactive until `fleet.activate`.
 *
 * @throws `INVALID_OPTION` when `activate` meets options that cannot be used
 */
export function createNode(options: NodeOptions = {}): RaftKVNode {
  return new Node(new NodeLifecycle(options));
}

const defaultLifecycle = new NodeLifecycle({});

/** The process's default node. */
const defaultNode = new Node(defaultLifecycle);

/** Nodes and consensus groups of the process's default node. */
export const RaftFleet: RaftFleetFunctions = defaultNode.fleet;

/** Keyspaces of the process's default node. */
export const RaftKV: RaftKVFunctions = defaultNode.kv;

/** Sets the default node's options; to be called before `RaftFleet.activate`. */
export async function configure(options: NodeOptions): Promise<void> {
  defaultLifecycle.configure(options);
}
