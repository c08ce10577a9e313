/**
 * The admin server of a node: HTTP with JSON, for the command line, probes, Prometheus and the
 * dashboard. It listens on this machine alone unless told otherwise, and holds no process alive.
 * Requests are bounded in size, time and number, connections in number.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { RaftKVError } from "../../errors.ts";
import {
  ADMIN_BODY_BYTES_MAX,
  ADMIN_CONNECTIONS_MAX,
  ADMIN_REQUEST_MS,
  ADMIN_REQUESTS_AT_ONCE_MAX,
  ADMIN_STREAMS_MAX,
} from "../../limits.ts";
import type { Json } from "../types.ts";
import { writeAnswer, writeError } from "./answers.ts";
import { checkAccess, checkType } from "./guard.ts";
import type { AdminRequest, Route } from "./route.ts";
import type { AdminSettings } from "./settings.ts";

/** See the head of this file. */
export class AdminServer {
  private readonly server: Server;
  private readonly settings: AdminSettings;
  private readonly routes: ReadonlyMap<string, Route>;
  private readonly open = new Set<AbortController>();
  private answering = 0;
  private streams = 0;

  private constructor(settings: AdminSettings, routes: readonly Route[]) {
    this.settings = settings;
    this.routes = new Map(routes.map((route) => [`${route.method} ${route.path}`, route]));
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      void this.handle(request, response);
    };
    const limits = { requestTimeout: ADMIN_REQUEST_MS, headersTimeout: ADMIN_REQUEST_MS };
    const { tls } = settings;
    // One by one: the key does not come along when settings are copied.
    const { ca = "", cert = "", key = "" } = tls ?? {};
    this.server =
      tls === undefined
        ? createServer(limits, listener)
        : createTlsServer({ ...limits, ca, cert, key, requestCert: true }, listener);
    this.server.maxConnections = ADMIN_CONNECTIONS_MAX;
    this.server.on("connection", (socket) => socket.unref());
    this.server.unref();
  }

  /** Starts to listen. @throws `ADDRESS_IN_USE`, `INVALID_OPTION` */
  static async listen(settings: AdminSettings, routes: readonly Route[]): Promise<AdminServer> {
    let opened: AdminServer;
    try {
      opened = new AdminServer(settings, routes);
    } catch (cause) {
      throw new RaftKVError("INVALID_OPTION", `admin.tls cannot be used: ${cause}`, { cause });
    }
    const { server } = opened;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(settings, error)));
      server.listen(settings.port, settings.host, resolve);
    });
    server.removeAllListeners("error");
    // A connection that fails ends by itself.
    server.on("error", () => undefined);
    server.on("clientError", (_error, socket) => socket.destroy());
    return opened;
  }

  /** `host:port` that it listens at. */
  get address(): string {
    const { address, port, family } = this.server.address() as AddressInfo;
    return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Ends all connections. Repeated calls are harmless. */
  async close(): Promise<void> {
    for (const asking of this.open) asking.abort();
    if (!this.server.listening) return;
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => undefined);
    try {
      const url = new URL(request.url ?? "/", "http://admin");
      const route = this.find(request, url.pathname);
      checkAccess(request, route, this.settings);
      if (route === undefined) {
        writeError(response, this.noRoute(request, url.pathname));
        return;
      }
      await this.answer(route, url, request, response);
    } catch (error) {
      writeError(response, error);
    }
  }

  private find({ method }: IncomingMessage, path: string): Route | undefined {
    return this.routes.get(`${method === "HEAD" ? "GET" : method} ${path}`);
  }

  private noRoute({ method }: IncomingMessage, path: string): RaftKVError {
    const other = ["GET", "POST"].filter((one) => this.routes.has(`${one} ${path}`));
    const message =
      other.length > 0
        ? `${path} takes ${other.join(" or ")}, not ${method}`
        : `there is nothing at ${path}`;
    const code = other.length > 0 ? "INVALID_ARGUMENT" : "NOT_FOUND";
    return new RaftKVError(code, message, { outcome: "not applied" });
  }

  private async answer(
    route: Route,
    url: URL,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (this.answering >= ADMIN_REQUESTS_AT_ONCE_MAX) throw busy("requests are answered");
    this.answering++;
    let held = true;
    const release = () => {
      if (held) this.answering--;
      held = false;
    };
    const asking = new AbortController();
    const { signal } = asking;
    this.open.add(asking);
    response.on("close", () => {
      this.open.delete(asking);
      asking.abort();
    });
    try {
      const body = route.method === "POST" ? await readBody(request, route.bodyBytesMax) : {};
      const admitted: AdminRequest = { query: url.searchParams, body, signal };
      const answer = await route.answer(admitted);
      if (!("stream" in answer)) {
        await writeAnswer(response, answer, signal);
        return;
      }
      // What stays open must not keep others from being answered.
      release();
      await this.stream(() => writeAnswer(response, answer, signal));
    } finally {
      release();
    }
  }

  private async stream(run: () => Promise<void>): Promise<void> {
    if (this.streams >= ADMIN_STREAMS_MAX) throw busy("responses are open");
    this.streams++;
    try {
      await run();
    } finally {
      this.streams--;
    }
  }
}

async function readBody(
  request: IncomingMessage,
  bytesMax: number = ADMIN_BODY_BYTES_MAX,
): Promise<{ readonly [name: string]: Json }> {
  checkType(request);
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) throw wrongBody(`is longer than ${bytesMax} bytes`);
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString("utf8");
  if (text.trim() === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw wrongBody(`is no JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw wrongBody("is no JSON object");
  }
  return body as { readonly [name: string]: Json };
}

function wrongBody(problem: string): RaftKVError {
  const message = `the body of the request ${problem}`;
  return new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}

function busy(what: string): RaftKVError {
  const message = `as many ${what} as may be; try again`;
  return new RaftKVError("OVERLOADED", message, { outcome: "not applied" });
}

function listenError({ host, port }: AdminSettings, error: NodeJS.ErrnoException): RaftKVError {
  const code = error.code === "EADDRINUSE" ? "ADDRESS_IN_USE" : "INVALID_OPTION";
  const message = `the admin server cannot listen at ${host}:${port}: ${error.message}`;
  return new RaftKVError(code, message, { cause: error });
}
