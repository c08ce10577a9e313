/** The files of a backup: what was written is read again, and whatever was damaged is found. */
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { descriptionText } from "../../ts/backup/format.ts";
import type { BackupSource, EntriesPiece } from "../../ts/backup/ports.ts";
import { piecesOf, verifyBackup } from "../../ts/backup/reader.ts";
import { saveBackup } from "../../ts/backup/save.ts";
import { encodeValue } from "../../ts/codec/value.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { HASH_END } from "../../ts/limits.ts";
import { expectCode } from "../node/support/errors.ts";
import { scratchDirectory } from "../process/support/programs.ts";

const KEYSPACES = ["carts", "visits"].map((name) => ({
  name,
  policy: { maxShards: 4 },
  replicas: 3,
}));
const RANGES = [0, 1000, HASH_END / 2, HASH_END];

/** A cluster whose shards give pieces of different length; `hinder` comes in their way. */
class Shards implements BackupSource {
  readonly hinder: (keyspace: string, start: number, piece: number) => void;
  private readonly open_ = new Map<string, { keyspace: string; start: number; piece: number }>();
  private begun = 0;
  /** Pieces of each range. */
  pieces = 3;

  constructor(hinder: Shards["hinder"] = () => undefined) {
    this.hinder = hinder;
  }

  async describe() {
    return { clusterName: "shop", clusterId: "id", keyspaces: KEYSPACES };
  }

  async open(keyspace: string, start: number) {
    const reading = `${++this.begun}`;
    this.open_.set(reading, { keyspace, start, piece: 0 });
    const end = RANGES.find((limit) => limit > start) as number;
    const about = { shard: `${keyspace}_${start}`, node: "node-a", at: new Date(0).toISOString() };
    return { reading, start, end, index: 7, keys: 6, ...about };
  }

  async next(reading: string): Promise<EntriesPiece | null> {
    const state = this.open_.get(reading);
    if (state === undefined) throw new RaftKVError("NO_LEADER", "ended");
    const { keyspace, start, piece } = state;
    this.hinder(keyspace, start, piece);
    state.piece++;
    if (piece === this.pieces) return null;
    return {
      count: piece + 1,
      entries: encodeValue(`${keyspace} ${start} `.repeat(20 * piece + 1)),
    };
  }

  async close(reading: string) {
    this.open_.delete(reading);
  }
}

async function contents(directory: string): Promise<Buffer> {
  const { keyspaces } = await verifyBackup(directory);
  const parts: Uint8Array[] = [];
  for (const keyspace of keyspaces) {
    for await (const { entries } of piecesOf(directory, keyspace)) parts.push(entries);
  }
  return Buffer.concat(parts);
}

let files: Map<string, Buffer>;
let entries: Buffer;

/** A copy of the whole backup that a test may damage. */
function copy(): string {
  const directory = scratchDirectory();
  for (const [name, bytes] of files) writeFileSync(join(directory, name), bytes);
  return directory;
}

/** Expects the backup to be refused, with the name of the file. */
async function expectDamaged(directory: string, file: string): Promise<string> {
  const { message } = await expectCode(() => verifyBackup(directory), "BACKUP_DAMAGED");
  expect(message).toContain(join(directory, file));
  return message;
}

beforeAll(async () => {
  const whole = join(scratchDirectory(), "whole");
  await saveBackup(new Shards(), whole);
  const names = readdirSync(whole).sort();
  files = new Map(names.map((name) => [name, readFileSync(join(whole, name))]));
  entries = await contents(whole);
});

test("a backup is described by what was written", async () => {
  const directory = copy();
  const view = await verifyBackup(directory);
  expect(view).toMatchObject({ clusterName: "shop", keys: 36, hashVersion: 1, formatVersion: 1 });
  expect(view.keyspaces).toMatchObject([
    { ...KEYSPACES[0], keys: 18, file: "1-carts.entries" },
    { ...KEYSPACES[1], keys: 18, file: "2-visits.entries" },
  ]);
  for (const { ranges } of view.keyspaces) {
    expect(ranges.map(({ start, end }) => [start, end])).toEqual([
      [0, 1000],
      [1000, HASH_END / 2],
      [HASH_END / 2, HASH_END],
    ]);
    expect(ranges[0]).toMatchObject({ index: 7, keys: 6, node: "node-a" });
  }
  expect([...files.keys()]).toEqual(["1-carts.entries", "2-visits.entries", "backup.json"]);
});

describe("damage is found, and said of the file that has it:", () => {
  test("one byte, wherever it is", async () => {
    const names = [...files.keys()];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.integer({ min: 1, max: 255 }),
        async (name, part, change) => {
          const directory = copy();
          const bytes = Buffer.from(files.get(name) as Buffer);
          const at = Math.floor(bytes.length * part);
          bytes[at] = (bytes[at] as number) ^ change;
          writeFileSync(join(directory, name), bytes);
          const message = await expectDamaged(directory, name);
          if (name !== "backup.json") expect(message).toMatch(/at byte \d+/);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("an end that is missing, and one that is too much", async () => {
    for (const [name, { length }] of files) {
      for (const left of [0, 1, 15, 16, length >> 1, length - 17, length - 1]) {
        const directory = copy();
        truncateSync(join(directory, name), left);
        const message = await expectDamaged(directory, name);
        expect(message).toMatch(/cut off|no JSON|checksum/);
      }
      const directory = copy();
      writeFileSync(join(directory, name), Buffer.concat([files.get(name) as Buffer, entries]));
      await expectDamaged(directory, name);
    }
  });

  test("a file that is missing, or stands in the place of another", async () => {
    for (const name of files.keys()) {
      const directory = copy();
      rmSync(join(directory, name));
      expect(await expectDamaged(directory, name)).toContain("is missing");
    }
    const directory = copy();
    writeFileSync(join(directory, "1-carts.entries"), files.get("2-visits.entries") as Buffer);
    await expectDamaged(directory, "1-carts.entries");
    await expectDamaged(join(directory, "nothing"), "backup.json");
  });

  test("a description of a format that is not known is no damage", async () => {
    const directory = copy();
    const view = await verifyBackup(directory);
    writeFileSync(join(directory, "backup.json"), descriptionText({ ...view, formatVersion: 2 }));
    const error = await expectCode(() => verifyBackup(directory), "BACKUP_FAILED");
    expect(error.action).toBe("fix");
  });
});

describe("while it is made", () => {
  test("a range whose reading breaks off is begun again, and leaves no trace", async () => {
    let left = 6;
    const shards = new Shards((keyspace, start, piece) => {
      if (keyspace !== "visits" || start !== 1000 || piece !== 2 || left-- <= 0) return;
      throw new RaftKVError("NO_LEADER", "the leader is gone");
    });
    const directory = join(scratchDirectory(), "again");
    const view = await saveBackup(shards, directory);
    expect(left).toBe(-1);
    expect(view.keys).toBe(36);
    expect((await contents(directory)).equals(entries)).toBe(true);
  });

  test("a range that is begun again may have become shorter", async () => {
    const shards = new Shards((keyspace, start, piece) => {
      if (keyspace !== "visits" || start !== HASH_END / 2 || piece !== 2) return;
      shards.pieces = 1;
      throw new RaftKVError("NO_LEADER", "the leader is gone");
    });
    const directory = join(scratchDirectory(), "shorter");
    const { keyspaces } = await saveBackup(shards, directory);
    expect(keyspaces[1]?.ranges.map(({ keys }) => keys)).toEqual([6, 6, 1]);
    expect(await verifyBackup(directory)).toMatchObject({ keys: 31 });
  });

  test("nothing that fails, or is ended, looks like a backup", async () => {
    const parent = scratchDirectory();
    const directory = join(parent, "backup");
    const stuck = new Shards((keyspace) => {
      if (keyspace === "visits") throw new RaftKVError("DATA_CLONE", "too large");
    });
    await expectCode(() => saveBackup(stuck, directory), "DATA_CLONE");
    const ending = new AbortController();
    const slow = new Shards((keyspace, start) => {
      // What is being written has another name until it is whole.
      expect(existsSync(directory)).toBe(false);
      if (keyspace === "visits" && start > 0) ending.abort();
    });
    await expectCode(() => saveBackup(slow, directory, { signal: ending.signal }), "ABORTED");
    const odd = { onProgress: () => expect.unreachable() };
    await expectCode(() => saveBackup(new Shards(), directory, odd), "BACKUP_FAILED");
    expect(readdirSync(parent)).toEqual([]);
  });

  test("a directory that holds something is left alone, an empty one is taken", async () => {
    const directory = scratchDirectory();
    await saveBackup(new Shards(), directory);
    const before = readdirSync(directory);
    await expectCode(() => saveBackup(new Shards(), directory), "INVALID_ARGUMENT");
    expect(readdirSync(directory)).toEqual(before);
    const file = join(directory, "backup.json");
    await expectCode(() => saveBackup(new Shards(), join(file, "below")), "BACKUP_FAILED");
  });

  test("progress goes up to its end, and only the named keyspaces are taken", async () => {
    const seen: number[] = [];
    const directory = join(scratchDirectory(), "one");
    const view = await saveBackup(new Shards(), directory, {
      keyspaces: ["visits", "visits"],
      onProgress: ({ step, keyspace, done }) => {
        expect([step, keyspace]).toEqual(["save", "visits"]);
        seen.push(done);
      },
    });
    expect(view.keyspaces.map(({ name }) => name)).toEqual(["visits"]);
    expect(seen.at(-1)).toBe(1);
    expect(new Set(seen).size).toBeGreaterThan(RANGES.length);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    const wrong = { keyspaces: ["visit"] };
    const error = await expectCode(
      () => saveBackup(new Shards(), `${directory}-2`, wrong),
      "NO_SUCH_KEYSPACE",
    );
    expect(error.message).toContain("Is visits meant?");
  });
});
