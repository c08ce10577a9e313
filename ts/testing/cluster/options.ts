/** How a test's cluster is made, judged before anything is opened. */
import { checkNames, invalidOption, isRecord } from "../../api/option-values.ts";
import { checkZone, type NodeOptions, resolveNodeOptions } from "../../api/options.ts";
import type { TestNode } from "./node.ts";

/** How a test's cluster is made. */
export interface TestClusterOptions {
  /** How many nodes it begins with, 1 to 9. Default 3. */
  readonly nodes?: number | undefined;
  /** The zone of each node, in turn. Default: each has one of its own. */
  readonly zones?: readonly string[] | undefined;
  /**
   * Options of every node, in place of times that are shorter than a service's. What a cluster
   * decides by itself cannot be given: `dataDir`, `listen`, `advertise`, `seeds`.
   */
  readonly options?: NodeOptions | undefined;
  /**
   * What each process of the service does at its start, such as `openKeyspace`: called, and waited
   * for, whenever a node was started, all nodes of the beginning side by side.
   */
  readonly start?: ((node: TestNode) => unknown) | undefined;
  /** Milliseconds that anything is waited for. Default 20,000. */
  readonly timeout?: number | undefined;
}

/** Options that were judged. */
export interface ClusterSettings {
  readonly nodes: number;
  readonly zones: readonly string[];
  readonly options: NodeOptions;
  readonly start: (node: TestNode) => unknown;
  readonly timeout: number;
}

const NODES = 3;
const NODES_MAX = 9;
const TIMEOUT_MS = 20_000;
const TIMEOUT_MS_MAX = 600_000;
const OPTION_NAMES = ["nodes", "zones", "options", "start", "timeout"];
const DECIDED = ["dataDir", "listen", "advertise", "seeds"] as const;

/** A node dies and another leads within half a second; shards are looked after at once. */
const QUICK: NodeOptions = {
  heartbeatInterval: 100,
  electionTimeout: 400,
  balancingInterval: 50,
  statsCollectionInterval: 50,
  workflowExecutionInterval: 20,
  shardIneligiblePeriodAfterSplitOrMerge: 50,
  replicaCheckInterval: 1_000,
  durability: "buffered",
};

/** Judges how a cluster is to be made. @throws `INVALID_OPTION`, `INVALID_ZONE` */
export function judgeClusterOptions(given: unknown): ClusterSettings {
  const options = given === undefined ? {} : given;
  if (!isRecord(options)) throw invalidOption("createTestCluster's argument", given, "an object");
  checkNames("option of a test cluster", options, OPTION_NAMES);
  const { nodes = NODES, zones = [], start = () => undefined, timeout = TIMEOUT_MS } = options;
  if (!isWhole(nodes, 1, NODES_MAX)) throw invalidOption("nodes", nodes, `1 to ${NODES_MAX}`);
  if (!isWhole(timeout, 1, TIMEOUT_MS_MAX)) {
    throw invalidOption("timeout", timeout, `whole milliseconds from 1 to ${TIMEOUT_MS_MAX}`);
  }
  if (!Array.isArray(zones)) throw invalidOption("zones", zones, "an array of names");
  for (const zone of zones) checkZone(zone);
  if (typeof start !== "function") throw invalidOption("start", start, "a function of a node");
  return {
    ...{ nodes, zones, timeout },
    options: { ...QUICK, ...judgeNodeOptions(options.options) },
    start: start as ClusterSettings["start"],
  };
}

function judgeNodeOptions(given: unknown): NodeOptions {
  if (given === undefined) return {};
  if (!isRecord(given)) throw invalidOption("options", given, "an object of options of a node");
  resolveNodeOptions({ ...QUICK, ...(given as NodeOptions) }, {});
  for (const name of DECIDED) {
    const value = (given as NodeOptions)[name];
    if (value !== undefined) throw invalidOption(name, value, "left out: the cluster decides it");
  }
  return given as NodeOptions;
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}
