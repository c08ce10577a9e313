/**
 * Options of a node: what a program may state, and what comes of it together with the environment
 * and the defaults. Everything is judged here, before anything is opened.
 */

import type { AdminSettings } from "../admin/http/settings.ts";
import { RaftKVError } from "../errors.ts";
import { OPTION_TIME_MAX_MS } from "../limits.ts";
import { type AdminOptions, resolveAdmin } from "./admin-options.ts";
import { LOG_LEVELS, type Logger, type LogLevel } from "./node-log.ts";
import { checkNames, invalidOption, isRecord, judged, shown } from "./option-values.ts";
import { resolveTls, type TlsOptions, type TlsSettings } from "./tls.ts";

export { type CallOptions, resolveCallOptions } from "./call-options.ts";
export {
  checkDataModule,
  checkFirstState,
  checkGroupName,
  checkKeyspaceName,
  checkModule,
  checkPolicy,
  checkRaftOptions,
  checkReplicas,
  checkZone,
} from "./checks.ts";
export type { TlsOptions, TlsSettings } from "./tls.ts";
export type { Logger, LogLevel };

/** Options of a node. What is left out comes from the environment, otherwise from the defaults. */
export interface NodeOptions {
  /** Where the log and snapshots live; ":memory:" keeps nothing. `RAFT_KV_DATA_DIR` */
  readonly dataDir?: string | undefined;
  /** `host:port` for peers, port 0 picks one; unset: a cluster of one. `RAFT_KV_LISTEN` */
  readonly listen?: string | undefined;
  /** `host:port` that peers dial; default: the bound address. `RAFT_KV_ADVERTISE` */
  readonly advertise?: string | undefined;
  /** `host:port` of some nodes of the cluster. `RAFT_KV_SEEDS`, separated by commas */
  readonly seeds?: readonly string[] | undefined;
  /** Mutual TLS between nodes. `RAFT_KV_TLS_CA`, `RAFT_KV_TLS_CERT`, `RAFT_KV_TLS_KEY` */
  readonly tls?: TlsOptions | undefined;
  /** Nodes of another name are refused. `RAFT_KV_CLUSTER` */
  readonly clusterName?: string | undefined;
  /** "fsync": acknowledged = on disk at a majority. `RAFT_KV_DURABILITY` */
  readonly durability?: "fsync" | "buffered" | undefined;
  /** Milliseconds between a leader's signs of life. */
  readonly heartbeatInterval?: number | undefined;
  /** Milliseconds without one before a follower stands for election. */
  readonly electionTimeout?: number | undefined;
  /** Milliseconds between two reports of the shards' statistics. */
  readonly statsCollectionInterval?: number | undefined;
  /** Milliseconds between two looks for work on the keyspaces. */
  readonly workflowExecutionInterval?: number | undefined;
  /** Milliseconds after which another node takes over a workflow that makes no progress. */
  readonly workflowLockPeriod?: number | undefined;
  /**
   * Milliseconds in which a shard that was split or merged is left alone. A shard that came of a
   * split and is still above `maxKeysPerShard` or `maxSizePerShard` is split again at once.
   */
  readonly shardIneligiblePeriodAfterSplitOrMerge?: number | undefined;
  /** Milliseconds between two steps of balancing groups over nodes. */
  readonly balancingInterval?: number | undefined;
  /** Milliseconds between two comparisons of the replicas of a group that changes. */
  readonly replicaCheckInterval?: number | undefined;
  /** Milliseconds after which an unreachable node is replaced. */
  readonly nodePurgeFailureTimeWindow?: number | undefined;
  /**
   * A server for operators: the command line, `/metrics`, `/livez` and `/readyz`; unset: none.
   * `RAFT_KV_ADMIN_LISTEN`, `RAFT_KV_ADMIN_TOKEN`, `RAFT_KV_ADMIN_TLS_CA`, `_CERT`, `_KEY`
   */
  readonly admin?: AdminOptions | undefined;
  /** Takes the node's messages, the engine's included; unset: it is silent. */
  readonly logger?: Logger | undefined;
  /** The least severe messages that `logger` gets; default: "info". `RAFT_KV_LOG_LEVEL` */
  readonly logLevel?: LogLevel | undefined;
  /**
   * Puts keys and arguments of calls into their traces (`node:diagnostics_channel`); default: false,
   * for they may be nobody's business.
   */
  readonly traceArguments?: boolean | undefined;
}

/** The options of a node, complete and judged. Times are milliseconds. */
export interface NodeSettings {
  readonly dataDir: string;
  readonly listen: string | undefined;
  readonly advertise: string | undefined;
  readonly seeds: readonly string[];
  readonly tls: TlsSettings | undefined;
  readonly clusterName: string;
  readonly durability: "fsync" | "buffered";
  readonly heartbeatInterval: number;
  readonly electionTimeout: number;
  readonly statsCollectionInterval: number;
  readonly workflowExecutionInterval: number;
  readonly workflowLockPeriod: number;
  readonly shardIneligiblePeriodAfterSplitOrMerge: number;
  readonly balancingInterval: number;
  readonly replicaCheckInterval: number;
  readonly nodePurgeFailureTimeWindow: number;
  readonly admin: AdminSettings | undefined;
  readonly logger: Logger | undefined;
  readonly logLevel: LogLevel;
  readonly traceArguments: boolean;
}

/** The default of each option that is a time, in milliseconds. */
const TIMES = {
  heartbeatInterval: 250,
  electionTimeout: 1_000,
  statsCollectionInterval: 1_000,
  workflowExecutionInterval: 1_000,
  workflowLockPeriod: 30_000,
  shardIneligiblePeriodAfterSplitOrMerge: 2_000,
  balancingInterval: 1_000,
  replicaCheckInterval: 15_000,
  nodePurgeFailureTimeWindow: 600_000,
} as const satisfies { readonly [Name in keyof NodeSettings]?: number };

type TimeName = keyof typeof TIMES;

const TIME_NAMES = Object.keys(TIMES) as TimeName[];
const OPTION_NAMES: readonly string[] = [
  "dataDir",
  "listen",
  "advertise",
  "seeds",
  "tls",
  "clusterName",
  "durability",
  ...TIME_NAMES,
  "admin",
  "logger",
  "logLevel",
  "traceArguments",
];
const LOGGER_METHODS = ["debug", "info", "warn", "error"] as const;
const CLUSTER_NAME_LENGTH_MAX = 128;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings that follow from options, then the environment, then the defaults. An empty
 * environment variable counts as unset. @throws `INVALID_OPTION`
 */
export function resolveNodeOptions(
  options: NodeOptions | undefined,
  environment: Environment = process.env,
): NodeSettings {
  const given: NodeOptions = options === undefined ? {} : options;
  return judged("INVALID_OPTION", "The options of a node", () => complete(given, environment));
}

function complete(given: NodeOptions, environment: Environment): NodeSettings {
  if (!isRecord(given)) {
    throw new RaftKVError(
      "INVALID_OPTION",
      `The options of a node have to be an object such as { dataDir: "./data" }, not ${shown(given)}.`,
    );
  }
  checkNames("node option", given, OPTION_NAMES);
  const source = new Source(given, environment);
  const listen = source.take("listen", "RAFT_KV_LISTEN", (value, name) => address(value, name, 0));
  const times = {} as Record<TimeName, number>;
  for (const name of TIME_NAMES) times[name] = time(name, given[name]);
  if (times.electionTimeout <= times.heartbeatInterval) {
    throw invalidOption(
      "electionTimeout",
      times.electionTimeout,
      `above heartbeatInterval (${times.heartbeatInterval}): a leader has to be heard in time`,
    );
  }
  const settings: NodeSettings = {
    dataDir: source.take("dataDir", "RAFT_KV_DATA_DIR", dataDir) ?? "./raft-kv-data",
    listen,
    advertise: source.take("advertise", "RAFT_KV_ADVERTISE", (v, name) => address(v, name, 1)),
    seeds: source.take("seeds", "RAFT_KV_SEEDS", seeds) ?? [],
    tls: resolveTls(given.tls, environment),
    clusterName: source.take("clusterName", "RAFT_KV_CLUSTER", clusterName) ?? "raft-kv",
    durability: source.take("durability", "RAFT_KV_DURABILITY", durability) ?? "fsync",
    ...times,
    admin: resolveAdmin(given.admin, environment),
    logger: logger(given.logger),
    logLevel: source.take("logLevel", "RAFT_KV_LOG_LEVEL", logLevel) ?? "info",
    traceArguments: flag("traceArguments", given.traceArguments),
  };
  checkTogether(settings);
  return Object.freeze(settings);
}

/** Options of which the later ones count, but for those that are undefined. */
export function mergeNodeOptions(
  base: NodeOptions | undefined,
  more: NodeOptions | undefined,
): NodeOptions {
  return judged("INVALID_OPTION", "The options of a node", () => {
    for (const given of [base, more]) {
      if (given !== undefined && !isRecord(given)) resolveNodeOptions(given, {});
    }
    const merged: Record<string, unknown> = { ...base };
    for (const [name, value] of Object.entries(more ?? {})) {
      if (value !== undefined) merged[name] = value;
    }
    return merged as NodeOptions;
  });
}

/** Where a value comes from: an option, else the environment. */
class Source {
  private readonly given: NodeOptions;
  private readonly environment: Environment;

  constructor(given: NodeOptions, environment: Environment) {
    this.given = given;
    this.environment = environment;
  }

  /** The judged value, `undefined` when neither has it; an error names the one that has. */
  take<T>(
    option: keyof NodeOptions,
    variable: string,
    judge: (value: unknown, name: string) => T,
  ): T | undefined {
    const value: unknown = this.given[option];
    if (value !== undefined) return judge(value, option);
    const text = this.environment[variable];
    return text === undefined || text === "" ? undefined : judge(text, variable);
  }
}

function checkTogether(settings: NodeSettings): void {
  const { advertise, listen, seeds: peers } = settings;
  if (listen !== undefined) return;
  const needs = "given together with listen: without it this node has no socket for peers";
  if (advertise !== undefined) throw invalidOption("advertise", advertise, needs);
  if (peers.length > 0) throw invalidOption("seeds", peers, needs);
}

function dataDir(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "" && !value.includes("\0")) return value;
  throw invalidOption(name, value, 'the path of a directory, or ":memory:"');
}

function clusterName(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "" && value.length <= CLUSTER_NAME_LENGTH_MAX) {
    return value;
  }
  throw invalidOption(name, value, `a text of 1 to ${CLUSTER_NAME_LENGTH_MAX} characters`);
}

function durability(value: unknown, name: string): "fsync" | "buffered" {
  if (value === "fsync" || value === "buffered") return value;
  throw invalidOption(name, value, '"fsync" or "buffered"');
}

function seeds(value: unknown, name: string): readonly string[] {
  if (typeof value === "string" && name !== "seeds") {
    const parts = value.split(",").map((part) => part.trim());
    return parts.filter((part) => part !== "").map((part) => address(part, name, 1));
  }
  if (Array.isArray(value)) return value.map((part, i) => address(part, `${name}[${i}]`, 1));
  throw invalidOption(name, value, 'an array of addresses such as ["10.0.0.1:4400"]');
}

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/;

/** Judges `host:port`; an IPv6 address stands in brackets. */
export function address(value: unknown, name: string, lowestPort: number): string {
  const parts = typeof value === "string" ? ADDRESS.exec(value) : null;
  const port = Number(parts?.[3]);
  if (parts !== null && port >= lowestPort && port <= 65_535) return parts[0];
  const ports = `${lowestPort} to 65535`;
  throw invalidOption(
    name,
    value,
    `"host:port" with a port from ${ports}, such as "10.0.0.1:4400"`,
  );
}

function time(name: TimeName, value: unknown): number {
  if (value === undefined) return TIMES[name];
  if (
    Number.isInteger(value) &&
    (value as number) >= 1 &&
    (value as number) <= OPTION_TIME_MAX_MS
  ) {
    return value as number;
  }
  throw invalidOption(name, value, `whole milliseconds from 1 to ${OPTION_TIME_MAX_MS}`);
}

function flag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === "boolean") return value ?? false;
  throw invalidOption(name, value, "true or false");
}

function logLevel(value: unknown, name: string): LogLevel {
  const found = LOG_LEVELS.find((level) => level === value);
  if (found !== undefined) return found;
  throw invalidOption(name, value, `one of ${LOG_LEVELS.join(", ")}`);
}

function logger(value: unknown): Logger | undefined {
  if (value === undefined) return undefined;
  const methods: Partial<Record<string, unknown>> = isRecord(value) ? value : {};
  if (LOGGER_METHODS.every((method) => typeof methods[method] === "function")) {
    return value as Logger;
  }
  throw invalidOption("logger", value, `an object with the methods ${LOGGER_METHODS.join(", ")}`);
}
