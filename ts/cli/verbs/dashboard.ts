/** `raft-kv dashboard`: serves the page on this machine, and passes on what a node tells it. */
import { randomBytes } from "node:crypto";
import { AdminServer } from "../../admin/http/server.ts";
import { dashboardRoutes, type RunStream } from "../../dashboard/routes.ts";
import { dashboardUrl } from "../../dashboard/url.ts";
import { RaftKVError } from "../../errors.ts";
import { CallFailed, type Connection } from "../connection.ts";
import { askedToEnd } from "../ending.ts";
import { EXIT, UsageError, type Verb } from "../verb.ts";

/** Bytes of the link's token. */
const TOKEN_BYTES = 24;

export const dashboard: Verb = {
  name: "dashboard",
  parameters: "",
  summary: "a page for a browser, live",
  details:
    "Serves the page on this machine until Ctrl-C, and asks the node at --connect with the token " +
    "and certificates that are given here. The link that is printed has a token of its own, so " +
    "that nobody else on this machine can look. It shows everything and changes nothing.",
  options: { port: { type: "string", help: "N: the page's port (a free one)" } },
  async run({ server, screen, json, options }) {
    const port = portOf(options.port);
    // What is wrong with the connection is better said here than in a browser.
    await server.call("status");
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const settings = { host: "127.0.0.1", port, token, tls: undefined };
    const page = await listen(settings, server);
    const url = dashboardUrl(page.address, settings);
    if (json) screen.json({ url });
    else
      screen.line(`${url}\n${screen.paint("Open this link in a browser. Ctrl-C ends it.", "dim")}`);
    await askedToEnd();
    await page.close();
    return EXIT.good;
  },
};

function portOf(given: string | boolean | undefined): number {
  const port = Number(given ?? 0);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new UsageError("--port takes a number from 0 to 65535");
}

type Settings = Parameters<typeof AdminServer.listen>[0];

async function listen(settings: Settings, server: Connection): Promise<AdminServer> {
  try {
    return await AdminServer.listen(
      settings,
      dashboardRoutes({ open: (signal) => passedOn(server, signal) }),
    );
  } catch (error) {
    if (!(error instanceof RaftKVError)) throw error;
    throw new CallFailed(error.code, error.message, error.action);
  }
}

async function passedOn(server: Connection, signal: AbortSignal): Promise<RunStream> {
  let parts: AsyncIterable<string>;
  try {
    parts = await server.stream("/dashboard/stream", signal);
  } catch (error) {
    // Whatever it is, the page tries again; a token that it could ask for is not the node's.
    const reason = error instanceof CallFailed ? error.message.split("\n", 1)[0] : undefined;
    throw new RaftKVError("NOT_ACTIVE", reason ?? "the node cannot be asked", { cause: error });
  }
  return async (send) => {
    for await (const part of parts) await send(part);
  };
}
