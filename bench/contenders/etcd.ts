/** etcd with its Node client: one member, or three on this machine. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Contender, KEYS, keyOf } from "./contender.ts";
import { freePorts, type Peers, startServer } from "./peers.ts";

const START_MS_MAX = 30_000;
/** Calls under way while keys are filled in: etcd refuses a flood. */
const FILL_CLIENTS = 64;

interface Client {
  put(key: string): { value(value: string): { exec(): Promise<unknown> } };
  get(key: string): { string(): Promise<string | null> };
  close(): void;
}

/** A cluster of etcd members with default durability and linearizable reads. */
export async function etcd(peers: Peers, directory: string, members: 1 | 3): Promise<Contender> {
  const { Etcd3 } = peers.load("etcd3") as { Etcd3: new (options: object) => Client };
  const ports = await freePorts(members * 2);
  const all = Array.from({ length: members }, (_, at) => ({
    name: `etcd-${at}`,
    client: `http://127.0.0.1:${ports[2 * at]}`,
    peer: `http://127.0.0.1:${ports[2 * at + 1]}`,
  }));
  const cluster = all.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const servers = await Promise.all(
    all.map(({ name, client, peer }) =>
      startServer("etcd", [
        ...["--name", name, "--data-dir", join(directory, name), "--initial-cluster", cluster],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--log-level", "error"],
      ]),
    ),
  );
  const client = new Etcd3({ hosts: all.map((member) => member.client) });
  const contender: Contender = {
    name: members === 1 ? "etcd" : "etcd, 3 members",
    role: "peer",
    set: (key, value) => client.put(key).value(value).exec(),
    get: (key) => client.get(key).string(),
    otherCpu: async () => servers.reduce((sum, server) => sum + server.cpu(), 0),
    close: async () => {
      client.close();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
  try {
    await answering(contender);
    let next = 0;
    const filler = async () => {
      while (next < KEYS) await contender.set(keyOf(next++), "filled");
    };
    await Promise.all(Array.from({ length: FILL_CLIENTS }, filler));
    return contender;
  } catch (error) {
    await contender.close();
    throw error;
  }
}

async function answering(contender: Contender): Promise<void> {
  const end = performance.now() + START_MS_MAX;
  for (;;) {
    try {
      await contender.set("first", "");
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(100);
    }
  }
}
