/** `raft-kv/testing`: what programs that use raft-kv test themselves with; no test runner is needed. */
export { assertValuePerKey, checkValuePerKey } from "./module/check.ts";
export type { Examples, ModuleExamples } from "./module/examples.ts";
export type {
  ModuleProblem,
  ModuleProblemKind,
  ModuleRefusal,
  ModuleReport,
} from "./module/report.ts";
