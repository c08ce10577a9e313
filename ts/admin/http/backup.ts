/**
 * Backups over HTTP: the one who asks has the files, this node reads and places entries. Entries are
 * bytes in base64 within JSON, a bounded piece in each request.
 */
import type { BackupSource, KeyspaceDescription, RestoreTarget } from "../../backup/ports.ts";
import { RaftKVError } from "../../errors.ts";
import { RESTORE_BODY_BYTES_MAX } from "../../limits.ts";
import type { Json } from "../types.ts";
import type { Route } from "./route.ts";

type Body = { readonly [name: string]: Json };

/** The routes of this area. */
export function backupRoutes(source: () => BackupSource, target: () => RestoreTarget): Route[] {
  return [
    post("/v1/backup/describe", async () => ({ ...(await source().describe()) })),
    post("/v1/backup/open", async (body) => ({
      ...(await source().open(text(body, "keyspace"), number(body, "from"))),
    })),
    post("/v1/backup/next", async (body) => {
      const piece = await source().next(text(body, "reading"));
      if (piece === null) return { piece };
      const { count, entries } = piece;
      return { piece: { count, entries: Buffer.from(entries).toString("base64") } };
    }),
    post("/v1/backup/close", async (body) => {
      await source().close(text(body, "reading"));
      return {};
    }),
    post("/v1/restore/begin", async (body) => {
      await target().begin(keyspaces(body));
      return {};
    }),
    {
      ...post("/v1/restore/place", async (body) => {
        const entries = new Uint8Array(Buffer.from(text(body, "entries"), "base64"));
        const overwrite = body.overwrite === true;
        return { ...(await target().place(text(body, "keyspace"), entries, overwrite)) };
      }),
      bodyBytesMax: RESTORE_BODY_BYTES_MAX,
    },
  ];
}

function post(path: string, run: (body: Body) => Promise<unknown>): Route {
  return {
    method: "POST",
    path,
    answer: async ({ body }) => ({ json: (await run(body)) as Json }),
  };
}

function text(body: Body, name: string): string {
  const value = body[name];
  if (typeof value === "string") return value;
  throw wrong(`${name} has to be a text`);
}

function number(body: Body, name: string): number {
  const value = body[name];
  if (typeof value === "number") return value;
  throw wrong(`${name} has to be a number`);
}

function keyspaces(body: Body): readonly KeyspaceDescription[] {
  const value = body.keyspaces;
  const isOne = (one: unknown) => typeof Object(one).name === "string";
  if (Array.isArray(value) && value.every(isOne)) return value as KeyspaceDescription[];
  throw wrong("keyspaces has to be an array of { name, policy, replicas }");
}

function wrong(message: string): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}
