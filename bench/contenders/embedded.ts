/** Peers inside this process: lmdb and better-sqlite3, both durable when they acknowledge. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { inBatches } from "./batches.ts";
import { type Contender, fill } from "./contender.ts";
import type { Peers } from "./peers.ts";

interface LmdbStore {
  put(key: string, value: unknown): Promise<boolean>;
  get(key: string): unknown;
  transaction<Result>(action: () => Result): Promise<Result>;
  close(): Promise<void>;
}

/** lmdb; its own batches of writes are one synced transaction each. */
export async function lmdb(peers: Peers, directory: string): Promise<Contender> {
  const { open } = peers.load("lmdb") as { open(options: object): LmdbStore };
  // Otherwise a promise would be resolved when its transaction is visible, before it is on disk.
  const store = open({ path: join(directory, "lmdb"), overlappingSync: false });
  const set = (key: string, value: string) => store.put(key, value);
  await fill({ set });
  return {
    name: "lmdb",
    role: "peer",
    set,
    get: async (key) => store.get(key),
    increment: (key) =>
      store.transaction(() => {
        const next = Number(store.get(`count-${key}`) ?? 0) + 1;
        store.put(`count-${key}`, next);
        return next;
      }),
    close: () => store.close(),
  };
}

interface SqliteStatement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): unknown;
}

interface SqliteDatabase {
  exec(sql: string): void;
  pragma(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  transaction<Item>(run: (items: Item[]) => unknown[]): (items: Item[]) => unknown[];
  close(): void;
}

/** better-sqlite3; the writes of a turn of the event loop are one transaction. */
export async function sqlite(peers: Peers, directory: string): Promise<Contender> {
  const Database = peers.load("better-sqlite3") as new (path: string) => SqliteDatabase;
  mkdirSync(join(directory, "sqlite"), { recursive: true });
  const database = new Database(join(directory, "sqlite", "data"));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec("CREATE TABLE entries (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
  const put = database.prepare("INSERT OR REPLACE INTO entries VALUES (?, ?)");
  const look = database.prepare("SELECT value FROM entries WHERE key = ?");
  const add = database.prepare(
    "INSERT INTO entries VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value",
  );
  type Write = { key: string; value?: string };
  const write = inBatches(
    database.transaction((writes: Write[]) =>
      writes.map(({ key, value }) => (value === undefined ? add.get(key) : put.run(key, value))),
    ),
  );
  const set = (key: string, value: string) => write({ key, value });
  await fill({ set });
  return {
    name: "better-sqlite3",
    role: "peer",
    set,
    get: async (key) => look.get(key),
    increment: (key) => write({ key: `count-${key}` }),
    close: async () => database.close(),
  };
}
