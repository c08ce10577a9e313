/** raft-kv: a distributed, fault-tolerant key-value store that lives inside a Node.js service. */
export type { AdminFunctions } from "./admin/admin.ts";
export type { KeysOptions } from "./admin/data.ts";
export type { AdminSettings } from "./admin/http/settings.ts";
export type { DrainOptions } from "./admin/moves.ts";
export type * from "./admin/types.ts";
export type { AdminOptions } from "./api/admin-options.ts";
export type {
  RaftKVEventEmitter,
  RaftKVEvents,
  ReplicaDivergence,
  ShardMove,
} from "./api/events.ts";
export type { GroupWithoutLeader, MemberState } from "./api/group-survey.ts";
export type { Keyspace } from "./api/keyspace.ts";
export { configure, createNode, RaftFleet, RaftKV, type RaftKVNode } from "./api/node.ts";
export type { Logger, LogLevel } from "./api/node-log.ts";
export type { MetricsOptions } from "./api/node-metrics.ts";
export type { CallOptions, NodeOptions, NodeSettings } from "./api/options.ts";
export type {
  GroupConfig,
  RaftFleetFunctions,
  RunningAdminServer,
  RunningDashboard,
} from "./api/raft-fleet.ts";
export type { Policy, RaftKVFunctions, RaftOptions } from "./api/raft-kv.ts";
export type { Readiness } from "./api/readiness.ts";
export type { TlsOptions, TlsSettings } from "./api/tls.ts";
export type { CallTrace } from "./api/traces.ts";
export type * from "./backup/types.ts";
export type { Key } from "./codec/key.ts";
export {
  type ErrorAction,
  type ErrorCode,
  type ErrorDetails,
  type Outcome,
  RaftKVError,
} from "./errors.ts";
export type { DataHook, DataModule } from "./machine/data-module.ts";
export {
  SplitMergePolicy,
  type SplitMergePolicyFields,
  type SplitMergePolicyInput,
} from "./policy.ts";
export type {
  CommandContext,
  CommandOutcome,
  LeaderHook,
  QueryOutcome,
  ValuePerKey,
} from "./shard/module.ts";
