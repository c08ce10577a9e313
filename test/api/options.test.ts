import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import {
  type CallOptions,
  mergeNodeOptions,
  type NodeOptions,
  resolveCallOptions,
  resolveNodeOptions,
} from "../../ts/api/options.ts";

const directory = mkdtempSync(join(tmpdir(), "raft-kv-options-"));
afterAll(() => rmSync(directory, { recursive: true }));

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";
const keyFile = join(directory, "key.pem");
writeFileSync(keyFile, KEY);

function refused(message: RegExp) {
  return expect.objectContaining({
    name: "RaftKVError",
    code: "INVALID_OPTION",
    action: "fix",
    message: expect.stringMatching(message),
  });
}

describe("options of a node", () => {
  test("have defaults", () => {
    expect(resolveNodeOptions(undefined, {})).toEqual({
      dataDir: "./raft-kv-data",
      listen: undefined,
      advertise: undefined,
      seeds: [],
      tls: undefined,
      clusterName: "raft-kv",
      durability: "fsync",
      heartbeatInterval: 250,
      electionTimeout: 1000,
      statsCollectionInterval: 1000,
      workflowExecutionInterval: 1000,
      workflowLockPeriod: 30_000,
      shardIneligiblePeriodAfterSplitOrMerge: 2000,
      balancingInterval: 1000,
      nodePurgeFailureTimeWindow: 600_000,
      replicaCheckInterval: 15_000,
      logger: undefined,
      logLevel: "info",
      traceArguments: false,
    });
  });

  const environment = {
    RAFT_KV_DATA_DIR: "/data",
    RAFT_KV_LISTEN: "0.0.0.0:4400",
    RAFT_KV_ADVERTISE: "me.example:4400",
    RAFT_KV_SEEDS: "a:1, b:2,,[::1]:3",
    RAFT_KV_CLUSTER: "blue",
    RAFT_KV_DURABILITY: "buffered",
    RAFT_KV_LOG_LEVEL: "debug",
    RAFT_KV_TLS_CA: CERTIFICATE,
    RAFT_KV_TLS_CERT: CERTIFICATE,
    RAFT_KV_TLS_KEY: keyFile,
  };

  test("come from the environment where the program says nothing", () => {
    const settings = resolveNodeOptions({ dataDir: undefined }, environment);
    expect(settings).toMatchObject({
      dataDir: "/data",
      listen: "0.0.0.0:4400",
      advertise: "me.example:4400",
      seeds: ["a:1", "b:2", "[::1]:3"],
      clusterName: "blue",
      durability: "buffered",
      logLevel: "debug",
    });
    expect(settings.tls).toMatchObject({ ca: CERTIFICATE, cert: CERTIFICATE });
    expect(settings.tls?.key).toBe(KEY);
  });

  test("of the program come before the environment, whatever that holds", () => {
    const given: NodeOptions = {
      dataDir: ":memory:",
      listen: "127.0.0.1:0",
      seeds: [],
      clusterName: "green",
      durability: "fsync",
      electionTimeout: 300,
    };
    const wrong = {
      ...environment,
      RAFT_KV_LISTEN: "x",
      RAFT_KV_SEEDS: "y",
      RAFT_KV_DATA_DIR: "\0",
    };
    expect(resolveNodeOptions(given, wrong)).toMatchObject(given);
  });

  test("an empty variable counts as unset", () => {
    const empty = Object.fromEntries(Object.keys(environment).map((name) => [name, ""]));
    expect(resolveNodeOptions({}, empty)).toEqual(resolveNodeOptions({}, {}));
  });

  test("a private key is not printed with the settings", () => {
    const { tls } = resolveNodeOptions({}, environment);
    expect(inspect(tls)).not.toContain("PRIVATE KEY");
    expect(JSON.stringify(tls)).not.toContain("PRIVATE KEY");
  });

  test("a logger is taken as it is", () => {
    expect(resolveNodeOptions({ logger: console }, {}).logger).toBe(console);
  });

  const tls = { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY };
  test.each<[unknown, RegExp]>([
    [null, /not null/],
    [3, /not 3/],
    ["x", /not "x"/],
    [[], /not an array/],
    [{ datadir: "x" }, /"datadir".*"dataDir"/],
    [{ electionTimeOut: 1 }, /"electionTimeOut".*"electionTimeout"/],
    [{ somethingElseEntirely: 1 }, /node options are: dataDir/],
    [{ dataDir: "" }, /dataDir is "".*":memory:"/],
    [{ dataDir: 3 }, /dataDir is 3/],
    [{ dataDir: null }, /dataDir is null/],
    [{ dataDir: "a\0b" }, /dataDir/],
    [{ listen: "localhost" }, /listen is "localhost".*host:port/],
    [{ listen: "localhost:x" }, /listen/],
    [{ listen: ":80" }, /listen/],
    [{ listen: "a:65536" }, /65536.*0 to 65535/],
    [{ listen: "::1:80" }, /listen/],
    [{ listen: "a b:80" }, /listen/],
    [{ listen: 80 }, /listen is 80/],
    [{ listen: "a:1", advertise: "b:0" }, /advertise is "b:0".*1 to 65535/],
    [{ advertise: "b:1" }, /advertise.*together with listen/],
    [{ seeds: ["b:1"] }, /seeds.*together with listen/],
    [{ listen: "a:1", seeds: "b:1" }, /seeds is "b:1".*array/],
    [{ listen: "a:1", seeds: ["b:1", "c"] }, /seeds\[1\] is "c"/],
    [{ listen: "a:1", seeds: [null] }, /seeds\[0\] is null/],
    [{ clusterName: "" }, /clusterName/],
    [{ clusterName: "x".repeat(129) }, /clusterName/],
    [{ durability: "none" }, /durability is "none".*"fsync" or "buffered"/],
    [{ durability: true }, /durability is true/],
    [{ heartbeatInterval: 0 }, /heartbeatInterval is 0.*milliseconds/],
    [{ heartbeatInterval: 1.5 }, /heartbeatInterval/],
    [{ heartbeatInterval: Number.NaN }, /heartbeatInterval is NaN/],
    [{ electionTimeout: "1s" }, /electionTimeout is "1s"/],
    [{ electionTimeout: 2 ** 31 }, /electionTimeout/],
    [{ heartbeatInterval: 500, electionTimeout: 500 }, /electionTimeout.*above heartbeatInterval/],
    [{ workflowLockPeriod: -1 }, /workflowLockPeriod/],
    [{ tls: "x" }, /tls/],
    [{ tls: { ca: CERTIFICATE } }, /tls.cert is undefined/],
    [{ tls: { ...tls, cart: "x" } }, /"cart"/],
    [{ tls: { ...tls, ca: KEY } }, /tls.ca.*CERTIFICATE/],
    [{ tls: { ...tls, key: "/no/such/file" } }, /tls.key.*ENOENT/],
    [{ logger: {} }, /logger.*debug, info, warn, error/],
    [{ logger: null }, /logger is null/],
    [{ traceArguments: "yes" }, /traceArguments is "yes".*true or false/],
    [{ logLevel: "loud" }, /logLevel.*"loud".*debug, info, warn, error/],
  ])("%o are refused by name, value and what is allowed", (options, message) => {
    expect(() => resolveNodeOptions(options as NodeOptions, {})).toThrow(refused(message));
  });

  test.each<[Record<string, string>, RegExp]>([
    [{ RAFT_KV_LISTEN: "x" }, /RAFT_KV_LISTEN is "x"/],
    [{ RAFT_KV_LISTEN: "a:1", RAFT_KV_SEEDS: "a:1,b" }, /RAFT_KV_SEEDS is "b"/],
    [{ RAFT_KV_DURABILITY: "yes" }, /RAFT_KV_DURABILITY is "yes"/],
    [{ RAFT_KV_TLS_CA: CERTIFICATE }, /RAFT_KV_TLS_CERT is undefined/],
  ])("the environment %o is refused by the variable's name", (given, message) => {
    expect(() => resolveNodeOptions({}, given)).toThrow(refused(message));
  });

  test("a private key given in the wrong place is not in the message", () => {
    expect.assertions(1);
    try {
      resolveNodeOptions({ tls: { ...tls, cert: KEY } }, {});
    } catch (error) {
      expect((error as Error).message).not.toContain("MA==");
    }
  });

  test("undefined hides nothing when options are merged", () => {
    const base: NodeOptions = { dataDir: "a", clusterName: "b" };
    expect(mergeNodeOptions(base, { dataDir: undefined, clusterName: "c" })).toEqual({
      dataDir: "a",
      clusterName: "c",
    });
    expect(mergeNodeOptions(undefined, undefined)).toEqual({});
    expect(() => mergeNodeOptions(base, "x" as NodeOptions)).toThrow(refused(/"x"/));
  });
});

describe("options of a call", () => {
  const defaults = {
    timeout: 500,
    retry: 3,
    retryInterval: 1000,
    shardLockRetry: 3,
    shardLockRetryInterval: 200,
    consistency: "linearizable",
  };

  test("have RaftKV's defaults", () => {
    expect(resolveCallOptions(undefined)).toEqual(defaults);
    expect(resolveCallOptions({ retry: undefined })).toEqual(defaults);
  });

  test("are taken", () => {
    const options: CallOptions = {
      timeout: 1.5,
      retry: 0,
      retryInterval: 0,
      shardLockRetry: 100,
      shardLockRetryInterval: 1,
      signal: new AbortController().signal,
      consistency: "stale",
    };
    expect(resolveCallOptions(options)).toEqual(options);
  });

  test.each<[unknown, RegExp]>([
    [null, /not null/],
    [500, /not 500/],
    [{ timeoutMs: 3 }, /"timeoutMs".*"timeout"/],
    [{ retries: 3 }, /"retries".*"retry"/],
    [{ timeout: 0 }, /timeout is 0/],
    [{ timeout: -1 }, /timeout is -1/],
    [{ timeout: Number.POSITIVE_INFINITY }, /timeout is Infinity/],
    [{ timeout: "1" }, /timeout is "1"/],
    [{ retry: 1.5 }, /retry is 1.5.*whole number/],
    [{ retry: -1 }, /retry is -1/],
    [{ retryInterval: Number.NaN }, /retryInterval is NaN/],
    [{ shardLockRetry: null }, /shardLockRetry is null/],
    [{ shardLockRetryInterval: {} }, /shardLockRetryInterval is a plain object/],
    [{ signal: {} }, /signal.*AbortSignal/],
    [{ consistency: "eventual" }, /consistency is "eventual".*"linearizable" or "stale"/],
  ])("%o are refused by name, value and what is allowed", (options, message) => {
    expect(() => resolveCallOptions(options as CallOptions)).toThrow(refused(message));
  });
});
