/** The README's service of several processes, run as it stands but for the ports. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { freeAddresses } from "../node/support/cluster.ts";
import { type Running, scratchDirectory, startCommand } from "./support/programs.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const program = /```js\n(\/\/ service\.mjs\n.*?)```/s.exec(readme)?.[1] ?? "";
const commands = [...readme.matchAll(/^node service\.mjs (\S+) (\S+) &$/gm)];

/** The number that a process counted when it started. */
async function visit(service: Running): Promise<number> {
  const line = await service.line((text) => text.startsWith("visit "));
  return Number(line.slice("visit ".length));
}

it("counts in one cluster, also when a process is killed, comes back, leaves and joins", async () => {
  const directory = scratchDirectory();
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(ROOT, join(directory, "node_modules/raft-kv"));
  const addresses = await freeAddresses(commands.length);
  const free = new Map(commands.map(([, , written], at) => [written, addresses[at] as string]));
  const moved = program.replace(/127\.0\.0\.1:\d+/g, (written) => free.get(written) as string);
  writeFileSync(join(directory, "service.mjs"), moved);
  const start = (at: number) => {
    const [, zone, listen] = commands[at] as unknown as [string, string, string];
    const args = ["service.mjs", zone, free.get(listen) as string];
    return startCommand(process.execPath, args, {}, directory);
  };

  expect(commands.length).toBe(3);
  const services = commands.map((_, at) => start(at));
  const counts = await Promise.all(services.map(visit));
  expect(counts.sort()).toEqual([1, 2, 3]);

  const [first, second] = services as [Running, Running, Running];
  first.process.kill("SIGKILL");
  await first.ended;
  expect(await visit(start(0))).toBe(4);

  second.process.kill("SIGTERM");
  expect((await second.ended).code).toBe(0);
  expect(await visit(start(1))).toBe(5);
}, 60_000);
