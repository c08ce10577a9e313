// Starts three processes of the service, counts through all of them, kills one with SIGKILL, and
// counts on.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const service = fileURLToPath(new URL("service.mjs", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "raft-kv-example-"));
const zones = ["a", "b", "c"];
const addresses = await Promise.all(zones.map(freeAddress));
const services = zones.map((zone, at) => {
  const args = [zone, String(addresses[at]), "0", addresses.join(","), join(directory, zone)];
  return spawn(process.execPath, [service, ...args], { stdio: ["ignore", "pipe", "inherit"] });
});

try {
  const bases = await Promise.all(services.map(addressOf));
  console.log("three processes serve");
  await countThrough(bases);

  // The first process to start began alone: its replicas need a moment to be three.
  await Promise.all(bases.map(untilSafeToStop));
  console.log("any of them may go");

  const [victim, ...others] = services;
  victim?.kill("SIGKILL");
  console.log("one process was killed");
  await countThrough(bases.slice(1));

  await Promise.all(others.map(stop));
  console.log("the others have ended in order");
} finally {
  for (const child of services) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
}

/**
 * Thirty requests, one process after the other.
 * @param {readonly string[]} bases
 */
async function countThrough(bases) {
  let count = 0;
  for (let round = 0; round < 30; round++) {
    const base = bases[round % bases.length];
    const response = await fetch(`${base}/counters/visits/increment`, { method: "POST" });
    if (!response.ok) throw new Error(await response.text());
    count = JSON.parse(await response.text()).count;
  }
  console.log("30 requests later:", count);
}

/** @param {string} base */
async function untilSafeToStop(base) {
  while (!(await fetch(`${base}/safe-to-stop`)).ok) await setTimeout(100);
}

/** @param {import("node:child_process").ChildProcess} child */
async function stop(child) {
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** @param {import("node:child_process").ChildProcessByStdio<null, import("node:stream").Readable, null>} child */
async function addressOf(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("listening at ")) return line.slice("listening at ".length);
  }
  throw new Error("a process ended before it served");
}

async function freeAddress() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}
