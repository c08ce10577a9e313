/**
 * A data directory with damaged files: either everything that was acknowledged is there all the
 * same, or the node refuses to open with DATA_CORRUPTED, naming what and where. It never crashes
 * and never goes on with less in silence.
 */
import { cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it } from "vitest";
import { seeded } from "../node/support/random.ts";
import { run, scratchDirectory, start } from "./support/programs.ts";

const SEED = Number(process.env.RAFT_KV_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const KEYS = 200;
const ROUNDS = 3;
const BALLAST_BYTES = 2_000;
/** Files smaller than this are damaged in a test of their own. */
const LARGE_BYTES = 64 * 1024;
const EVERYTHING = Object.fromEntries(
  Array.from({ length: KEYS }, (_, key) => [`key-${key}`, ROUNDS]),
);

interface Contents {
  readonly counts?: Record<string, number>;
  readonly error?: { readonly code: string; readonly action: string; readonly message: string };
}

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function filled(): Promise<string> {
  const directory = scratchDirectory();
  await run("fills.mjs", [directory, String(KEYS), String(BALLAST_BYTES), String(ROUNDS)]);
  return directory;
}

/** Opens a damaged copy; true when the damage was found, false when nothing is missing. */
async function found(damaged: string, what: string): Promise<boolean> {
  const end = await start("tells-contents.mjs", [damaged]).ended;
  expect(end.code, `${what}: ended with ${end.code ?? end.signal}\n${end.errors}`).toBe(0);
  const { counts, error } = JSON.parse(end.output) as Contents;
  if (error === undefined) {
    expect(counts, `${what}: opened`).toEqual(EVERYTHING);
    return false;
  }
  expect(error.code, `${what}: ${error.message}`).toBe("DATA_CORRUPTED");
  expect(error.action, what).toBe("report");
  expect(error.message, what).toContain(damaged);
  return true;
}

function copyOf(directory: string): string {
  const copy = scratchDirectory();
  cpSync(directory, copy, { recursive: true });
  return copy;
}

function flip(file: string, at: number, bytes: number): void {
  const content = readFileSync(file);
  for (let offset = at; offset < Math.min(at + bytes, content.length); offset++) {
    content[offset] = (content[offset] as number) ^ 0xff;
  }
  writeFileSync(file, content);
}

it(`finds flipped bytes in the large files, or misses nothing (seed ${SEED})`, async () => {
  const random = seeded(SEED);
  const directory = await filled();
  const large = files(directory).filter((file) => statSync(file).size >= LARGE_BYTES);
  expect(large.length).toBeGreaterThan(0);
  let refused = 0;
  for (const file of large) {
    const { size } = statSync(file);
    for (const [share, bytes] of [
      [0.2, 1],
      [0.4, 64],
      [0.5, 4096],
      [0.7, 1],
      [0.8, 512],
    ] as const) {
      const copy = copyOf(directory);
      const at = Math.floor(size * share + random() * size * 0.1);
      const name = relative(directory, file);
      flip(join(copy, name), at, bytes);
      if (await found(copy, `${bytes} bytes at ${at} of ${size} in ${name}`)) refused++;
    }
  }
  expect(refused, "damages that were found").toBeGreaterThan(0);
});

it("finds large files that were cut, or misses nothing", async () => {
  const directory = await filled();
  const large = files(directory).filter((file) => statSync(file).size >= LARGE_BYTES);
  let refused = 0;
  for (const file of large) {
    for (const share of [0.3, 0.6]) {
      const copy = copyOf(directory);
      const name = relative(directory, file);
      const size = Math.floor(statSync(file).size * share);
      truncateSync(join(copy, name), size);
      if (await found(copy, `${name} cut to ${size} bytes`)) refused++;
    }
  }
  expect(refused, "damages that were found").toBeGreaterThan(0);
});

it("finds small files that were emptied or changed, or misses nothing", async () => {
  const directory = await filled();
  const small = files(directory).filter((file) => {
    const { size } = statSync(file);
    return size > 0 && size < LARGE_BYTES;
  });
  for (const file of small) {
    const name = relative(directory, file);
    const emptied = copyOf(directory);
    truncateSync(join(emptied, name), 0);
    await found(emptied, `${name} emptied`);
    const changed = copyOf(directory);
    flip(join(changed, name), Math.floor(statSync(file).size / 2), 8);
    await found(changed, `${name} changed`);
  }
});
