/** `raft-kv/testing`: what programs that use raft-kv test themselves with; no test runner is needed. */
export { createTestCluster, type TestCluster } from "./cluster/cluster.ts";
export type { TestNode } from "./cluster/node.ts";
export type { TestClusterOptions } from "./cluster/options.ts";
export type { Look } from "./cluster/waiting.ts";
export { assertValuePerKey, checkValuePerKey } from "./module/check.ts";
export type { Examples, ModuleExamples } from "./module/examples.ts";
export type {
  ModuleProblem,
  ModuleProblemKind,
  ModuleRefusal,
  ModuleReport,
} from "./module/report.ts";
