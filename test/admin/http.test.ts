/** The admin server: what it answers, whom it lets in, and what it does with what is wrong. */
import { request } from "node:http";
import { request as tlsRequest } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AdminOptions, RaftKVNode } from "../../ts/index.ts";
import { ADMIN_BODY_BYTES_MAX, ADMIN_REQUESTS_AT_ONCE_MAX } from "../../ts/limits.ts";
import { expectCode } from "../node/support/errors.ts";
import { mapModule } from "../node/support/modules.ts";
import { newNode } from "../node/support/nodes.ts";

const CERTIFICATES = join(import.meta.dirname, "../node/support/certificates");
const TOKEN = "a-token-that-is-long-enough";

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: () => Record<string, unknown> & { error: Record<string, unknown> };
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls?: Readonly<Record<string, unknown>>;
}

async function openWith(admin: AdminOptions): Promise<RaftKVNode> {
  const node = newNode({ admin: { port: 0, ...admin } });
  await node.fleet.activate("zone");
  await node.kv.init();
  await node.kv.registerKeyspace("kv", mapModule, null, { maxShards: 2 });
  return node;
}

/** Sends a request with Node's own client, which lets a test state any header. */
function ask(node: RaftKVNode, path: string, asked: Asked = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body, tls } = asked;
  const [host, port] = (node.fleet.adminAddress as string).split(":");
  const options = { host, port, path, method, headers: { ...headers }, ...tls };
  return new Promise((resolve, reject) => {
    const send = (tls === undefined ? request : tlsRequest)(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      response.on("end", () => {
        const { statusCode = 0, headers: given } = response;
        resolve({ status: statusCode, headers: given, text, json: () => JSON.parse(text) });
      });
    });
    send.on("error", reject);
    send.end(body);
  });
}

function post(node: RaftKVNode, path: string, body: unknown, headers = {}): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const all = { "content-type": "application/json", ...headers };
  return ask(node, path, { method: "POST", headers: all, body: text });
}

describe("verbs over HTTP", () => {
  test("pieces of backups that cannot be are refused by a code", async () => {
    const node = await openWith({});
    const code = async (path: string, body: unknown) => {
      const { status, json } = await post(node, path, body);
      expect(status).toBeGreaterThanOrEqual(400);
      return json().error.code;
    };
    const wrong: readonly [string, object][] = [
      ["backup/open", { keyspace: "kv" }],
      ["backup/open", { keyspace: "kv", from: 2 ** 27 }],
      ["backup/open", { keyspace: "kv", from: -0.5 }],
      ["backup/next", { reading: "none" }],
      ["backup/close", {}],
      ["restore/begin", { keyspaces: "kv" }],
      ["restore/begin", { keyspaces: [null] }],
      ["restore/place", { keyspace: "kv", entries: 7 }],
      ["restore/place", { keyspace: "kv", entries: "AQID" }],
    ];
    for (const [path, body] of wrong) {
      expect(await code(`/v1/${path}`, body), path).toBe("INVALID_ARGUMENT");
    }
    expect(await code("/v1/backup/open", { keyspace: "kw", from: 0 })).toBe("NO_SUCH_KEYSPACE");
    const place = { keyspace: "kw", entries: "" };
    expect(await code("/v1/restore/place", place)).toBe("NO_SUCH_KEYSPACE");
    await node.kv.bindKeyspace("kw", mapModule);
    const odd = { name: "kw", policy: { maxShards: -1 }, replicas: 3 };
    expect(await code("/v1/restore/begin", { keyspaces: [odd] })).toBe("INVALID_POLICY");
    const few = { ...odd, policy: { maxShards: 1 }, replicas: 0 };
    expect(await code("/v1/restore/begin", { keyspaces: [few] })).toBe("INVALID_ARGUMENT");
    expect(await node.kv.listKeyspaces()).toEqual(["kv"]);
    const { json } = await post(node, "/v1/backup/open", { keyspace: "kv", from: 5 });
    expect(json()).toMatchObject({ shard: "kv_0", start: 5, end: 2 ** 27 });
  });

  test("answer what the functions return", async () => {
    const node = await openWith({});
    const { admin } = node.fleet;
    const set = { keyspace: "kv", key: "k", argument: { set: { $bigint: "5" } } };
    expect((await post(node, "/v1/command", set)).json()).toBe("ok");
    expect(await node.kv.query("kv", "k", "get")).toBe(5n);
    const got = await post(node, "/v1/get", { keyspace: "kv", key: "k" });
    expect(got.json()).toMatchObject({ found: true, value: { $bigint: "5" } });
    const keys = await ask(node, "/v1/keys?keyspace=kv&limit=5");
    expect(keys.json()).toEqual({ keys: ["k"], next: null });
    const groups = await ask(node, "/v1/groups");
    expect(groups.json()).toEqual(JSON.parse(JSON.stringify(await admin.groups())));
    expect(groups.headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
  });

  test("refuse what is wrong with the error's code", async () => {
    const node = await openWith({});
    const cases: readonly [Promise<Answer>, number, string][] = [
      [ask(node, "/v1/shards?keyspace=kw"), 404, "NO_SUCH_KEYSPACE"],
      [ask(node, "/v1/shards?keyspac=kv"), 400, "INVALID_ARGUMENT"],
      [ask(node, "/v1/shards"), 400, "INVALID_ARGUMENT"],
      [ask(node, "/v1/top?limit=many"), 400, "INVALID_ARGUMENT"],
      [ask(node, "/v1/split?shard=kv_0"), 400, "INVALID_ARGUMENT"],
      [ask(node, "/nothing"), 404, "NOT_FOUND"],
      [post(node, "/v1/merge", { shard: "kv_0" }), 409, "MERGE_IMPOSSIBLE"],
      [post(node, "/v1/status", "{"), 400, "INVALID_ARGUMENT"],
      [post(node, "/v1/status", "[]"), 400, "INVALID_ARGUMENT"],
      [post(node, "/v1/get", { keyspace: "kv" }), 400, "INVALID_ARGUMENT"],
    ];
    for (const [answer, status, code] of cases) {
      const { status: got, json } = await answer;
      expect([got, json().error.code], code).toEqual([status, code]);
    }
    const long = await post(node, "/v1/status", " ".repeat(ADMIN_BODY_BYTES_MAX + 1)).catch(
      (error: NodeJS.ErrnoException) => error.code,
    );
    // The server may close the connection before all of it was sent.
    if (typeof long === "object") expect(long.json().error.code).toBe("INVALID_ARGUMENT");
    else expect(["EPIPE", "ECONNRESET"]).toContain(long);
    expect((await ask(node, "/v1/status")).status).toBe(200);
  });

  test("more requests than may be answered at a time are refused, and the others answered", async () => {
    const node = await openWith({});
    const many = Array.from({ length: ADMIN_REQUESTS_AT_ONCE_MAX * 2 }, () =>
      ask(node, "/v1/status"),
    );
    const answers = await Promise.all(many);
    const served = answers.filter(({ status }) => status === 200).length;
    expect(served).toBeGreaterThan(0);
    for (const { status, json } of answers) {
      if (status !== 200) expect(json().error.code).toBe("OVERLOADED");
    }
    expect((await ask(node, "/v1/status")).status).toBe(200);
  });

  test("what is no HTTP disturbs nothing", async () => {
    const node = await openWith({});
    const [host, port] = (node.fleet.adminAddress as string).split(":");
    const socket = connect(Number(port), host);
    socket.on("error", () => undefined);
    socket.write("no request\r\n\r\n");
    await new Promise((resolve) => socket.once("close", resolve));
    expect((await ask(node, "/v1/status")).status).toBe(200);
  });
});

describe("whom the server lets in", () => {
  test("names of this machine only, against pages that point a name here", async () => {
    const node = await openWith({});
    for (const host of ["127.0.0.1", "localhost:4480", "[::1]:4480"]) {
      expect((await ask(node, "/v1/status", { headers: { host } })).status).toBe(200);
    }
    const rebound = await ask(node, "/v1/status", { headers: { host: "evil.example" } });
    expect([rebound.status, rebound.json().error.code]).toEqual([401, "ACCESS_DENIED"]);
  });

  test("no page of another site, and no form", async () => {
    const node = await openWith({});
    const foreign = await post(node, "/v1/status", {}, { origin: "http://evil.example" });
    expect(foreign.json().error.code).toBe("ACCESS_DENIED");
    expect(foreign.headers["access-control-allow-origin"]).toBeUndefined();
    const own = await post(node, "/v1/status", {}, { origin: `http://${node.fleet.adminAddress}` });
    expect(own.status).toBe(200);
    const form = await post(node, "/v1/status", "{}", { "content-type": "text/plain" });
    expect(form.json().error.code).toBe("INVALID_ARGUMENT");
  });

  test("who has the token, where there is one", async () => {
    const node = await openWith({ token: TOKEN });
    for (const authorization of ["", `Bearer ${TOKEN}x`, TOKEN, "Bearer"]) {
      const { status, json } = await ask(node, "/v1/status", { headers: { authorization } });
      expect([status, json().error.code], authorization).toEqual([401, "ACCESS_DENIED"]);
    }
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect((await ask(node, "/v1/status", { headers })).status).toBe(200);
    // Settings are printed: the token does not show.
    expect(JSON.stringify(node.options)).not.toContain(TOKEN);
  });

  test("who has a certificate, where TLS is on", async () => {
    const pem = (name: string) => join(CERTIFICATES, name);
    const tls = {
      ca: pem("cluster-ca.pem"),
      cert: pem("cluster-node.pem"),
      key: pem("cluster-node.key"),
    };
    const node = await openWith({ tls });
    const { readFileSync } = await import("node:fs");
    const files = (ca: string, name: string) => ({
      ca: readFileSync(pem(ca)),
      cert: readFileSync(pem(`${name}.pem`)),
      key: readFileSync(pem(`${name}.key`)),
      checkServerIdentity: () => undefined,
    });
    const known = await ask(node, "/v1/status", { tls: files("cluster-ca.pem", "cluster-node") });
    expect(known.status).toBe(200);
    const stranger = { tls: files("cluster-ca.pem", "stranger-node") };
    await expect(ask(node, "/v1/status", stranger)).rejects.toThrow();
    await expect(ask(node, "/v1/status")).rejects.toThrow();
  });
});

describe("the option `admin`", () => {
  test("is judged before anything is opened", async () => {
    for (const admin of [
      { port: -1 },
      { port: "4480" },
      { host: "" },
      { host: "0.0.0.0" },
      { host: "10.0.0.1", port: 0 },
      { token: "short" },
      { prot: 1 },
      { tls: { ca: "x" } },
      true,
    ]) {
      const node = newNode({ admin: admin as AdminOptions });
      const error = await expectCode(() => node.fleet.activate("zone"), "INVALID_OPTION");
      expect(error.message).not.toContain("short");
    }
  });

  test("a port that is taken ends the activation, which may be tried again", async () => {
    const first = await openWith({});
    const port = Number((first.fleet.adminAddress as string).split(":")[1]);
    const second = newNode();
    const admin = { port };
    await expectCode(() => second.fleet.activate("zone", { admin }), "ADDRESS_IN_USE");
    await second.fleet.activate("zone", { admin: { port: 0 } });
    expect((await ask(second, "/v1/status")).status).toBe(200);
  });

  test("the server ends with the node, and one can be started while it runs", async () => {
    const node = newNode();
    await expectCode(() => node.fleet.adminServer({ port: 0 }), "NOT_ACTIVE");
    await node.fleet.activate("zone");
    expect(node.fleet.adminAddress).toBeNull();
    const server = await node.fleet.adminServer({ port: 0 });
    expect((await fetch(`http://${server.address}/v1/status`)).status).toBe(200);
    await server.close();
    await server.close();
    await expect(fetch(`http://${server.address}/v1/status`)).rejects.toThrow();
    const other = await openWith({});
    const address = other.fleet.adminAddress;
    await other.close();
    await expect(fetch(`http://${address}/v1/status`)).rejects.toThrow();
  });
});
