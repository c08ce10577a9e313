/**
 * Three processes on this machine that are one cluster: this one, which has the clients, and two
 * members. Every keyspace has one shard with a replica in each of them.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, type NodeOptions, type RaftKVNode, SplitMergePolicy } from "raft-kv";
import type { MemberRequest } from "../member.ts";
import { freePorts } from "./peers.ts";
import { registers, type Store } from "./raft-kv.ts";

const POLL_MS = 5;
const WAIT_MS_MAX = 60_000;
/** Keyspaces are opened until one is led here and one elsewhere; each has one chance in three. */
const KEYSPACES_MAX = 50;

/** A process with a node that this process starts, asks and kills. */
export class Member {
  name = "";
  private readonly options: NodeOptions;
  private child: ChildProcess | undefined;
  private nextId = 0;

  constructor(options: NodeOptions) {
    this.options = options;
  }

  /** Starts the process, and the node on its directory. */
  async start(keyspaces: readonly string[]): Promise<void> {
    const program = join(import.meta.dirname, "member.mjs");
    this.child = fork(program, [JSON.stringify(this.options)], { execArgv: [] });
    this.name = await this.ask({ call: "activate", keyspaces });
  }

  /** Asks the node for something. */
  ask(request: Omit<MemberRequest, "id">): Promise<string> {
    const { child } = this;
    if (child === undefined) throw new Error("the member is not running");
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const over = () => reject(new Error("the member ended"));
      const take = (answer: { id: number; result: string; error?: string }) => {
        if (answer.id !== id) return;
        child.off("message", take).off("exit", over);
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(answer.error));
      };
      child.on("message", take).on("exit", over);
      child.send({ id, ...request });
    });
  }

  /** Kills the process with SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
}

/** The cluster, with a keyspace that this process leads and one that another leads. */
export interface Cluster {
  readonly node: RaftKVNode;
  readonly members: readonly Member[];
  readonly ledHere: Store;
  readonly ledElsewhere: Store;
  close(): Promise<void>;
}

/** Waits until `look` is true. */
export async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS_MAX;
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS_MAX} ms in vain: ${what}`);
    await sleep(POLL_MS);
  }
}

/** The name of the node that leads a keyspace's one shard, `null` when it is not known. */
export async function leaderOf(node: RaftKVNode, keyspace: string): Promise<string | null> {
  const [shard] = await node.kv.shards(keyspace);
  return shard?.leader ?? null;
}

/** Starts the three processes at the same moment on empty directories. */
export async function startCluster(directory: string): Promise<Cluster> {
  const seeds = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
  const options = seeds.map((listen, at) => ({
    dataDir: join(directory, `node-${at}`),
    listen,
    seeds,
  }));
  const [own, ...others] = options;
  const node = createNode(own);
  const members = others.map((other) => new Member(other));
  const close = async () => {
    await Promise.all(members.map((member) => member.kill()));
    await node.close();
  };
  try {
    await Promise.all([node.fleet.activate("bench"), ...members.map((member) => member.start([]))]);
    await node.kv.init();
    const { here, elsewhere } = await openKeyspaces(node, members);
    const ledHere = await storeOf(node, here);
    const ledElsewhere = await storeOf(node, elsewhere);
    return { node, members, ledHere, ledElsewhere, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openKeyspaces(node: RaftKVNode, members: readonly Member[]) {
  const self = await node.fleet.nodeName();
  let here: string | undefined;
  let elsewhere: string | undefined;
  for (let at = 0; at < KEYSPACES_MAX; at++) {
    const name = `registers-${at}`;
    await openEverywhere(node, members, name);
    if ((await settledLeader(node, name)) === self) here ??= name;
    else elsewhere ??= name;
    if (here !== undefined && elsewhere !== undefined) return { here, elsewhere };
  }
  throw new Error(`of ${KEYSPACES_MAX} keyspaces none was led here, or none elsewhere`);
}

async function openEverywhere(node: RaftKVNode, members: readonly Member[], name: string) {
  await node.kv.openKeyspace(name, registers, null, new SplitMergePolicy({ maxShards: 1 }));
  await Promise.all(members.map((member) => member.ask({ call: "open", keyspaces: [name] })));
}

/** The leader of a shard, once it has all its members and the leader has stayed for a while. */
async function settledLeader(node: RaftKVNode, keyspace: string): Promise<string> {
  let leader: string | null = null;
  let since = 0;
  await until(`a leader of ${keyspace}`, async () => {
    const [shard] = await node.kv.shards(keyspace);
    const whole = shard?.members.length === 3;
    if (!whole || shard.leader === null || shard.leader !== leader) {
      leader = shard?.leader ?? null;
      since = performance.now();
    }
    return whole && leader !== null && performance.now() - since > 3000;
  });
  return leader ?? "";
}

async function storeOf(node: RaftKVNode, name: string): Promise<Store> {
  const keyspace = await node.kv.bindKeyspace(name, registers);
  return { node, keyspace };
}
