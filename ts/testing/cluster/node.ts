/** A node of a test's cluster: the same object through all its lives. */
import { NodeLifecycle } from "../../api/lifecycle.ts";
import { Node, type RaftKVNode } from "../../api/node.ts";
import type { NodeOptions } from "../../api/options.ts";
import { RaftKVError } from "../../errors.ts";
import { openEngine, type TestableEngine } from "../../native/engine.ts";

/** A node of a test's cluster, as `createNode` gives one, and what the test needs to know of it. */
export interface TestNode extends RaftKVNode {
  /** Its place in `nodes`, from 0. */
  readonly index: number;
  readonly zone: string;
  /** Its name in the cluster, as `activeNodes`, `whereisLeader` and `shards` have it. */
  readonly name: string;
  /** Where others reach it. */
  readonly address: string;
  /** Where its log is, until the cluster is closed. */
  readonly dataDir: string;
  /** Is it active? Not between `kill` or `close` and `restart`. */
  readonly running: boolean;
}

/** See the head of this file. */
export class ClusterNode extends Node implements TestNode {
  readonly index: number;
  readonly zone: string;
  readonly dataDir: string;
  /** Its number in the cluster, 0 before its first start. */
  id = 0;
  private readonly node: NodeLifecycle;
  private readonly opened: { engine: TestableEngine | undefined };

  constructor(index: number, zone: string, options: NodeOptions & { readonly dataDir: string }) {
    const opened: { engine: TestableEngine | undefined } = { engine: undefined };
    const node = new NodeLifecycle(options, async (settings, onEvents) => {
      opened.engine = await openEngine(settings, onEvents);
      return opened.engine;
    });
    super(node);
    this.index = index;
    this.zone = zone;
    this.dataDir = options.dataDir;
    this.node = node;
    this.opened = opened;
  }

  get running(): boolean {
    return this.node.activeCore() !== undefined;
  }

  get name(): string {
    return `node-${this.id.toString(36)}`;
  }

  get address(): string {
    return this.node.current.listen ?? "";
  }

  /** Opens it, as a process does that starts. */
  async start(): Promise<void> {
    await this.fleet.activate(this.zone);
    this.id = this.node.core().nodeId;
    await this.kv.init();
  }

  /** Takes another address for its next start. */
  move(listen: string): void {
    this.node.configure({ listen });
  }

  /** Ends it as if its process had died; resolves once its directory is free. */
  async kill(): Promise<void> {
    await Promise.all([this.opened.engine?.kill(), this.node.close()]);
  }

  /** Makes no streams to the nodes `to`, and takes none from the nodes `from`. */
  cutOff(to: readonly number[], from: readonly number[]): void {
    if (this.running) this.opened.engine?.cutOff(to, from);
  }
}

/** The error of a function that was given something else than a node of the cluster. */
export function noNode(what: string): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", `${what} has to be one of cluster.nodes`);
}
