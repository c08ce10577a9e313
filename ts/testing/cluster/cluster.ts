/** A cluster of real nodes in one process, and what a test does to it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MovedShard, ShardInformation } from "../../admin/types.ts";
import { RaftKVError } from "../../errors.ts";
import { Cuts } from "./cuts.ts";
import { ClusterNode, noNode, type TestNode } from "./node.ts";
import { type ClusterSettings, judgeClusterOptions, type TestClusterOptions } from "./options.ts";
import { freeAddresses } from "./ports.ts";
import { type Look, waitUntil } from "./waiting.ts";

/** How often other ports are tried when somebody else took one. */
const PORTS_TRIES = 4;
/** Nodes whose addresses are the seeds of all. */
const SEEDS_MAX = 3;

/** A cluster of real nodes in this process: real sockets on loopback, real logs in scratch folders. */
export class TestCluster implements AsyncDisposable {
  private readonly members: ClusterNode[] = [];
  private readonly settings: ClusterSettings;
  private readonly folder: string;
  private readonly cuts = new Cuts();
  private seeds: readonly string[] = [];
  private closing: Promise<void> | undefined;

  /** @internal made by `createTestCluster` */
  constructor(settings: ClusterSettings, folder: string) {
    this.settings = settings;
    this.folder = folder;
  }

  /** All nodes in the order in which they came, running or not. */
  get nodes(): readonly TestNode[] {
    return this.members;
  }

  /** @internal Starts the first nodes, side by side. */
  async open(): Promise<void> {
    const { nodes, start } = this.settings;
    const addresses = await freeAddresses(nodes);
    this.seeds = addresses.slice(0, SEEDS_MAX);
    for (const address of addresses) this.add(address, undefined);
    await Promise.all(this.members.map((node) => node.start()));
    await Promise.all(this.members.map(async (node) => start(node)));
  }

  /**
   * Ends a node as nearly as a part of this process can as if its process had been killed: the
   * others lose it at once, it hands nothing over, and what it had not written yet is not written.
   * Its calls reject with `CLOSED`. What was acknowledged is in its directory.
   */
  async kill(node: TestNode): Promise<void> {
    await this.own(node).kill();
  }

  /** Starts a node again on its directory, after `kill` or `close`; one that runs is closed first. */
  async restart(node: TestNode): Promise<void> {
    const own = this.own(node);
    await own.close();
    await this.launch(own);
  }

  /** Adds a node to the cluster, and starts it. @param zone - default: as `zones` goes on */
  async addNode(zone?: string): Promise<TestNode> {
    this.checkOpen();
    const [address] = (await freeAddresses(1)) as [string];
    const node = this.add(address, zone);
    await this.launch(node);
    return node;
  }

  /**
   * Cuts sides off from each other, in place of all cuts before: streams between them end at once,
   * and none are made. Nodes of no side still reach everybody. A node that is restarted stays cut
   * off; its `restart` may then not resolve before `heal`.
   */
  partition(...sides: readonly (readonly TestNode[])[]): void {
    const judged = sides.map((side) => this.side(side));
    const all = judged.flat();
    if (judged.length < 2 || new Set(all).size !== all.length) {
      const message = "partition needs two or more sides, such as [a], [b, c], with no node in two";
      throw new RaftKVError("INVALID_ARGUMENT", message);
    }
    this.cuts.clear();
    for (const side of judged) {
      this.cuts.cut(
        side,
        all.filter((node) => !side.includes(node)),
      );
    }
    this.cuts.apply(this.members);
  }

  /**
   * Has no node of `from` reach any of `to`, in addition to what is cut already: a firewall between
   * them. The other way round goes on: requests of `to` arrive at `from` and are answered.
   */
  block(from: readonly TestNode[], to: readonly TestNode[]): void {
    this.cuts.cut(this.side(from), this.side(to));
    this.cuts.apply(this.members);
  }

  /** Takes all cuts back. */
  heal(): void {
    this.checkOpen();
    this.cuts.clear();
    this.cuts.apply(this.members);
  }

  /**
   * Splits a shard, and resolves when that is done. A policy with thresholds goes on working; one
   * with `maxShards` alone leaves shards to the test.
   * @param shard - default: the one with the most keys
   */
  async split(keyspace: string, shard?: string): Promise<MovedShard> {
    return this.move(keyspace, shard, "split", (shards) =>
      shards.reduce((most, one) => (one.keys > most.keys ? one : most)),
    );
  }

  /**
   * Merges a shard into its left neighbour, and resolves when that is done.
   * @param shard - default: the last one
   */
  async merge(keyspace: string, shard?: string): Promise<MovedShard> {
    return this.move(keyspace, shard, "merge", (shards) => shards.at(-1));
  }

  /**
   * The node that leads a shard or a consensus group, once one does that is running and not cut off.
   * @param seenBy - who is asked; default: a node of the largest part of the cluster
   */
  async leaderOf(group: string, seenBy?: TestNode): Promise<TestNode> {
    const asked = seenBy === undefined ? undefined : this.own(seenBy);
    return this.waitFor(`a leader of ${group}`, async () => {
      const by = asked ?? this.connected();
      const name = await by.fleet.whereisLeader(group);
      return this.around(by).find((node) => node.name === name);
    });
  }

  /**
   * Resolves once all nodes that run reach each other, every group is led, and no replica is being
   * moved: after a start, a restart or `heal`.
   */
  async settled(): Promise<void> {
    const look = async () => {
      const running = this.members.filter((node) => node.running);
      const seen = await Promise.all(running.map((node) => this.isSettled(node, running)));
      return running.length > 0 && seen.every((settled) => settled);
    };
    await this.waitFor("the cluster to settle", look);
  }

  /**
   * Looks again and again until `look` gives something other than `undefined`, `null` and `false`,
   * and gives it; what throws is tried again.
   * @throws `TIMEOUT` after the cluster's `timeout`
   */
  waitFor<T>(what: string, look: Look<T>): Promise<T> {
    return waitUntil(what, look, this.settings.timeout);
  }

  /** Ends all nodes and removes their directories. Repeated calls are harmless. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  /** Closes the cluster, as `close` does: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async end(): Promise<void> {
    try {
      // Nobody is to take anything over, and nothing is to be kept.
      await Promise.all(this.members.map((node) => node.kill()));
    } finally {
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  private add(listen: string, zone: string | undefined): ClusterNode {
    const index = this.members.length;
    const { zones, options } = this.settings;
    const inTurn = zones.length === 0 ? `zone-${index + 1}` : zones[index % zones.length];
    const dataDir = join(this.folder, `node-${index}`);
    const node = new ClusterNode(index, zone ?? (inTurn as string), {
      ...options,
      ...{ dataDir, listen, seeds: this.seeds },
    });
    this.members.push(node);
    return node;
  }

  private async launch(node: ClusterNode): Promise<void> {
    this.checkOpen();
    for (let left = PORTS_TRIES; ; left--) {
      try {
        await node.start();
        break;
      } catch (error) {
        if (!isTaken(error) || left === 1) throw error;
        const [address] = (await freeAddresses(1)) as [string];
        node.move(address);
      }
    }
    this.cuts.apply(this.members);
    await this.settings.start(node);
  }

  private async move(
    keyspace: string,
    shard: string | undefined,
    way: "split" | "merge",
    choose: (shards: readonly ShardInformation[]) => ShardInformation | undefined,
  ): Promise<MovedShard> {
    let final: unknown;
    const moved = await this.waitFor(`a ${way} of ${shard ?? keyspace}`, async () => {
      const node = this.connected();
      try {
        const name = shard ?? choose(await node.kv.shards(keyspace))?.name ?? keyspace;
        return await node.fleet.admin[way](name);
      } catch (error) {
        if (error instanceof RaftKVError && error.action === "retry") throw error;
        final = error;
        return "impossible" as const;
      }
    });
    if (moved === "impossible") throw final;
    return moved;
  }

  private async isSettled(node: ClusterNode, running: readonly ClusterNode[]): Promise<boolean> {
    const { admin } = node.fleet;
    const [nodes, groups] = await Promise.all([admin.nodes(), admin.groups()]);
    const reached = nodes.filter(({ state, leads }) => state === "active" && leads !== null);
    const names = new Set(reached.map(({ name }) => name));
    return (
      running.every(({ name }) => names.has(name)) && groups.every(({ state }) => state === "ok")
    );
  }

  /** A running node that reaches as many others as any does. */
  private connected(): ClusterNode {
    this.checkOpen();
    const running = this.members.filter((node) => node.running);
    const [most] = running.sort((a, b) => this.around(b).length - this.around(a).length);
    if (most === undefined)
      throw new RaftKVError("NOT_ACTIVE", "no node of the cluster is running");
    return most;
  }

  /** The running nodes that a node reaches and that reach it, itself included. */
  private around(node: ClusterNode): ClusterNode[] {
    const { cuts } = this;
    const reach = (other: ClusterNode) => cuts.reaches(node, other) && cuts.reaches(other, node);
    return this.members.filter((other) => other.running && reach(other));
  }

  private own(node: TestNode): ClusterNode {
    this.checkOpen();
    const own = this.members.find((member) => member === node);
    if (own === undefined) throw noNode("a node");
    return own;
  }

  private side(nodes: readonly TestNode[]): ClusterNode[] {
    if (!Array.isArray(nodes)) throw noNode("each part of a side, which is an array,");
    return nodes.map((node) => this.own(node));
  }

  private checkOpen(): void {
    if (this.closing !== undefined) throw new RaftKVError("CLOSED", "the test's cluster is closed");
  }
}

/**
 * Starts a cluster of real nodes in this process, and resolves when all of them serve. `await using`
 * closes it at the end of the test.
 *
 * @throws `INVALID_OPTION`, `INVALID_ZONE`; what `start` throws
 */
export async function createTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const settings = judgeClusterOptions(options);
  for (let left = PORTS_TRIES; ; left--) {
    const folder = await mkdtemp(join(tmpdir(), "raft-kv-testing-"));
    const cluster = new TestCluster(settings, folder);
    try {
      await cluster.open();
      return cluster;
    } catch (error) {
      await cluster.close();
      if (!isTaken(error) || left === 1) throw error;
    }
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof RaftKVError && error.code === "ADDRESS_IN_USE";
}
