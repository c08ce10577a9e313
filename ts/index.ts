/** raft-kv: a distributed, fault-tolerant key-value store that lives inside a Node.js service. */
export type { AdminFunctions } from "./admin/admin.ts";
export type * from "./admin/types.ts";
export type { AdminOptions } from "./api/admin-options.ts";
export type { RaftKVEvents, ReplicaDivergence, ShardMove } from "./api/events.ts";
export type { Keyspace } from "./api/keyspace.ts";
export { configure, createNode, RaftFleet, RaftKV, type RaftKVNode } from "./api/node.ts";
export type { Logger, LogLevel } from "./api/node-log.ts";
export type { MetricsOptions } from "./api/node-metrics.ts";
export type { CallOptions, NodeOptions } from "./api/options.ts";
export type { GroupConfig, RunningAdminServer, RunningDashboard } from "./api/raft-fleet.ts";
export type { Policy, RaftOptions } from "./api/raft-kv.ts";
export type { Readiness } from "./api/readiness.ts";
export type * from "./backup/types.ts";
export type { Key } from "./codec/key.ts";
export { type ErrorCode, RaftKVError } from "./errors.ts";
export type { DataHook, DataModule } from "./machine/data-module.ts";
export { SplitMergePolicy } from "./policy.ts";
export type { CommandContext, LeaderHook, ValuePerKey } from "./shard/module.ts";
