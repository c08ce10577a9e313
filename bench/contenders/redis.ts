/** Redis with `appendfsync always`: one server, and a primary that waits for one of two replicas. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { inBatches } from "./batches.ts";
import { type Contender, fill } from "./contender.ts";
import { freePorts, type Peers, type Server, startServer } from "./peers.ts";

const WAIT_MS_MAX = 5000;

interface Pipeline {
  set(key: string, value: string): Pipeline;
  wait(replicas: number, milliseconds: number): Pipeline;
  exec(): Promise<[Error | null, unknown][] | null>;
}

interface Client {
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
  incr(key: string): Promise<unknown>;
  pipeline(): Pipeline;
  wait(replicas: number, milliseconds: number): Promise<number>;
  on(event: "error", listener: () => void): void;
  quit(): Promise<unknown>;
  disconnect(): void;
}

type ClientClass = new (options: object) => Client;

async function startRedis(directory: string, port: number, primary?: number): Promise<Server> {
  mkdirSync(directory, { recursive: true });
  const options = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", directory, "--save", ""];
  const durable = ["--appendonly", "yes", "--appendfsync", "always"];
  const replica = primary === undefined ? [] : ["--replicaof", "127.0.0.1", `${primary}`];
  return startServer("redis-server", [...options, ...durable, ...replica]);
}

async function connect(peers: Peers, port: number): Promise<Client> {
  const loaded = peers.load("ioredis") as { Redis: ClientClass };
  const client = new loaded.Redis({ host: "127.0.0.1", port, enableAutoPipelining: true });
  client.on("error", () => {});
  return client;
}

/** Redis with `appendfsync always`, calls pipelined by its client. */
export async function redis(peers: Peers, directory: string): Promise<Contender> {
  const [port = 0] = await freePorts(1);
  const server = await startRedis(join(directory, "redis"), port);
  const client = await connect(peers, port);
  await fill(client);
  return {
    name: "Redis always",
    role: "peer",
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    increment: (key) => client.incr(`count-${key}`),
    otherCpu: async () => server.cpu(),
    close: async () => {
      client.disconnect();
      await server.stop();
    },
  };
}

/** Three Redis servers; the sets of a turn share one `WAIT 1`: a majority of three has them. */
export async function redisWait(peers: Peers, directory: string): Promise<Contender> {
  const ports = await freePorts(3);
  const [primary = 0] = ports;
  const servers = await Promise.all(
    ports.map((port, at) =>
      startRedis(join(directory, `redis-${at}`), port, at === 0 ? undefined : primary),
    ),
  );
  const client = await connect(peers, primary);
  const set = inBatches(async (writes: { key: string; value: string }[]) => {
    const pipeline = client.pipeline();
    for (const { key, value } of writes) pipeline.set(key, value);
    const replies = (await pipeline.wait(1, WAIT_MS_MAX).exec()) ?? [];
    const [error, replicas] = replies.at(-1) ?? [new Error("no answer"), 0];
    if (error !== null || Number(replicas) < 1) throw error ?? new Error("no replica has it");
    return replies.slice(0, -1);
  });
  const contender: Contender = {
    name: "Redis WAIT 1",
    role: "peer",
    set: (key, value) => set({ key, value }),
    get: (key) => client.get(key),
    otherCpu: async () => servers.reduce((sum, server) => sum + server.cpu(), 0),
    close: async () => {
      client.disconnect();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
  try {
    await client.set("first", "");
    const end = performance.now() + 4 * WAIT_MS_MAX;
    while ((await client.wait(2, WAIT_MS_MAX)) < 2) {
      if (performance.now() > end) throw new Error("the replicas of Redis did not come");
    }
    await fill(contender);
    return contender;
  } catch (error) {
    await contender.close();
    throw error;
  }
}
