/** The dashboard's page and its stream as routes of the admin server. */
import { readFile } from "node:fs/promises";
import type { AdminAnswer, Route, SendPart } from "../admin/http/route.ts";
import { RaftKVError } from "../errors.ts";

/** The page takes nothing from elsewhere, and runs no script but its own file. */
export const CONTENT_SECURITY_POLICY = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"],
  ...["img-src 'self' data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
].join("; ");

/** Beside the bundle, and where the bundle is built to when the sources run. */
const FOLDERS = ["./dashboard/", "../../dist/dashboard/"];

const ASSETS = [
  { path: "/dashboard", file: "index.html", type: "text/html" },
  { path: "/dashboard/app.js", file: "app.js", type: "text/javascript" },
  { path: "/dashboard/style.css", file: "style.css", type: "text/css" },
] as const;

/** Sends the messages of a stream to its end. */
export type RunStream = (send: SendPart) => Promise<void>;

/** Where the stream's messages come from. */
export interface StreamSource {
  /** Begins a stream, which ends with the signal; what it throws is answered instead. */
  open(signal: AbortSignal): RunStream | Promise<RunStream>;
}

/** The routes of this area. The page itself tells nothing, so it is open; its stream is not. */
export function dashboardRoutes(source: StreamSource): Route[] {
  const pages = ASSETS.map(
    ({ path, file, type }): Route => ({
      ...{ method: "GET", path, open: true },
      answer: () => asset(file, type),
    }),
  );
  const root: Route = {
    ...{ method: "GET", path: "/", open: true },
    answer: () => asset("index.html", "text/html"),
  };
  const stream: Route = {
    ...{ method: "GET", path: "/dashboard/stream" },
    answer: async ({ signal }) => ({
      type: "text/event-stream",
      stream: await source.open(signal),
    }),
  };
  return [root, ...pages, stream];
}

async function asset(file: string, type: string): Promise<AdminAnswer> {
  for (const folder of FOLDERS) {
    const text = await readFile(new URL(folder + file, import.meta.url), "utf8").catch(() => null);
    if (text === null) continue;
    const headers = { "content-security-policy": CONTENT_SECURITY_POLICY };
    return { type: `${type}; charset=utf-8`, text, headers };
  }
  const message = `the dashboard's ${file} is not beside raft-kv's own files; were they bundled?`;
  throw new RaftKVError("NOT_FOUND", message);
}
