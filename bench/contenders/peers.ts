/** Which peers can be measured here, where their packages are, and how their servers are run. */
import { fork, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";

/** The packages that peers are used by, exactly. */
const PACKAGES = { "better-sqlite3": "12.9.0", etcd3: "1.1.2", ioredis: "5.8.2", lmdb: "3.5.6" };
const CLOCK_TICKS_PER_SECOND = 100;

export type PeerName = "redis" | "etcd" | "lmdb" | "better-sqlite3";

/** The peers that were found, and why others were not. */
export interface Peers {
  readonly found: readonly PeerName[];
  readonly skipped: readonly string[];
  /** A package of a peer, as `require` gives it. */
  load(name: string): unknown;
}

/** No peers at all. */
export const NO_PEERS: Peers = {
  found: [],
  skipped: ["all peers: not asked for"],
  load: (name) => {
    throw new Error(`${name} was not looked for`);
  },
};

/** Looks for peers: packages in a folder, servers on PATH. */
export function findPeers(folder: string): Peers {
  const load = createRequire(join(folder, "package.json"));
  const found: PeerName[] = [];
  const skipped: string[] = [];
  const look = (name: PeerName, packageName: string, server?: string) => {
    const missing = missingOf(load, packageName, server);
    if (missing === null) found.push(name);
    else skipped.push(`${name}: ${missing}`);
  };
  look("lmdb", "lmdb");
  look("better-sqlite3", "better-sqlite3");
  look("redis", "ioredis", "redis-server");
  look("etcd", "etcd3", "etcd");
  return { found, skipped, load };
}

function missingOf(load: NodeJS.Require, name: string, server?: string): string | null {
  if (server !== undefined && spawnSync(server, ["--version"]).error !== undefined) {
    return `${server} is not on PATH`;
  }
  try {
    load(name);
    return null;
  } catch (error) {
    const [reason] = String(error).split("\n");
    return `npm package ${name} cannot be loaded (--install-peers installs it): ${reason}`;
  }
}

/** Installs the packages into a folder by npm. */
export function installPeers(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const manifest = { private: true, dependencies: PACKAGES };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
  const { status } = spawnSync("npm", ["install", "--no-audit", "--no-fund"], {
    cwd: folder,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (status !== 0) throw new Error(`npm install failed in ${folder}`);
}

/** A server that runs until it is stopped, or this process ends in whatever way. */
export interface Server {
  /** CPU time so far in microseconds; 0 where /proc is not there. */
  cpu(): number;
  stop(): Promise<void>;
}

/** Runs a server under a guard. */
export async function startServer(command: string, args: readonly string[]): Promise<Server> {
  const guard = fork(join(import.meta.dirname, "guard.mjs"), [command, ...args], { execArgv: [] });
  const ended = new Promise<void>((resolve) => guard.once("exit", () => resolve()));
  const pid = await new Promise<number>((resolve, reject) => {
    guard.once("message", (message) => resolve((message as { pid: number }).pid));
    guard.once("exit", () => reject(new Error(`${command} did not start`)));
  });
  const stop = async () => {
    if (guard.connected) guard.disconnect();
    await ended;
  };
  return { cpu: () => cpuOf(pid), stop };
}

function cpuOf(pid: number): number {
  const path = `/proc/${pid}/stat`;
  if (!existsSync(path)) return 0;
  const fields = readFileSync(path, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / CLOCK_TICKS_PER_SECOND;
}

/** Addresses on this machine that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = servers.map(async (server) => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bound = server.address();
    if (bound === null || typeof bound === "string") throw new Error("no port");
    return bound.port;
  });
  const found = await Promise.all(ports);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return found;
}
