/** The way to a node's admin server. */
import { request } from "node:http";
import { request as tlsRequest } from "node:https";

/** Milliseconds without an answer after which a call is given up. */
const SILENCE_MS = 120_000;

/** Where the server is, and what it is shown. */
export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
  /** As PEM. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
}

/** What the node answered instead of a result, or why it did not answer. */
export class CallFailed extends Error {
  readonly code: string;
  /** What can be done about it. */
  readonly action: string;

  constructor(code: string, message: string, action = "retry") {
    super(message);
    this.code = code;
    this.action = action;
  }
}

/** See the head of this file. */
export class Connection {
  private readonly settings: ConnectionSettings;

  constructor(settings: ConnectionSettings) {
    this.settings = settings;
  }

  /** `host:port` of the server. */
  get address(): string {
    return `${this.settings.host}:${this.settings.port}`;
  }

  /** Has the node run a verb; what comes back is of the type that `RaftFleet.admin` says. */
  async call<T>(verb: string, given: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const { status, text } = await this.send(`/v1/${verb}`, JSON.stringify(given));
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      const what = `${this.address} answered ${status} with something else than JSON`;
      throw new CallFailed("INTERNAL", `${what}; is it the admin server of a node?`, "fix");
    }
    if (status === 200) return answer as T;
    const { error } = Object(answer) as { error?: Record<string, unknown> };
    const { code = "INTERNAL", message = `answered ${status}`, action = "report" } = error ?? {};
    throw new CallFailed(String(code), String(message), String(action));
  }

  /** Opens what the node sends as it comes, in pieces of text. @throws CallFailed */
  stream(path: string, signal: AbortSignal): Promise<AsyncIterable<string>> {
    const { host, port, tls } = this.settings;
    const options = { host, port, path, headers: this.access(), signal, ...tls };
    return new Promise((resolve, reject) => {
      const ask = tls === undefined ? request : tlsRequest;
      const asking = ask(options, (response) => {
        const { statusCode = 0 } = response;
        if (statusCode === 200) return resolve(response.setEncoding("utf8"));
        response.resume();
        reject(new CallFailed("NO_ANSWER", `${this.address} answered ${statusCode}`));
      });
      asking.on("error", (error) => reject(this.failure(error)));
      asking.end();
    });
  }

  /** The header that lets in. */
  private access(): Record<string, string> {
    const { token } = this.settings;
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  private send(path: string, body: string): Promise<{ status: number; text: string }> {
    const { host, port, tls } = this.settings;
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...this.access(),
    };
    const options = { host, port, path, method: "POST", headers, timeout: SILENCE_MS, ...tls };
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException) => reject(this.failure(error));
      const asking = (tls === undefined ? request : tlsRequest)(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.on("error", fail);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      asking.on("timeout", () => asking.destroy(new Error("it does not answer")));
      asking.on("error", fail);
      asking.end(body);
    });
  }

  private failure(error: NodeJS.ErrnoException): CallFailed {
    if (error.code === "ECONNREFUSED") {
      const message =
        `nothing listens at ${this.address}. Give the node the option admin, or start it with\n` +
        "RAFT_KV_ADMIN_LISTEN=4480; name another address with --connect HOST:PORT";
      return new CallFailed("NOT_FOUND", message);
    }
    const reason = error.message || error.code;
    return new CallFailed("NO_ANSWER", `${this.address} cannot be asked: ${reason}`);
  }
}
