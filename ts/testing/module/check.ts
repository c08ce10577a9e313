/**
 * Checks a `ValuePerKey` module by running its commands and queries twice on equal input, by the
 * same code that runs them on a shard.
 */
import { isPromise } from "node:util/types";
import { checkModule } from "../../api/checks.ts";
import { comparableText, copyValue, type Key, keyIdentity } from "../../codec/index.ts";
import { RaftKVError } from "../../errors.ts";
import { ReplicaContext } from "../../host/context.ts";
import { Refusal } from "../../machine/machine.ts";
import { answerQuery } from "../../shard/answer.ts";
import { CommandRunner } from "../../shard/command.ts";
import { describeKey, describeThrown, ignoreRejection } from "../../shard/describe.ts";
import { DeterminismCheck } from "../../shard/determinism.ts";
import type { ValuePerKey } from "../../shard/module.ts";
import { type JudgedExamples, judgeExamples, type ModuleExamples } from "./examples.ts";
import { ObservedModule } from "./observed.ts";
import { unfaithfulParts } from "./parts.ts";
import { Findings, type ModuleProblem, type ModuleReport } from "./report.ts";

/** How messages name the keyspace of a module that is checked. */
const KEYSPACE = "checked";
/** The time of the first command, and the milliseconds from one to the next. */
const START_MS = 1_750_000_000_000;
const STEP_MS = 1_000;

/** A key with its value, as a shard keeps it. */
interface Entry {
  key: unknown;
  value: unknown;
  size: number;
}

/** What a step is about. */
type Step = Pick<ModuleProblem, "key" | "argument">;

/**
 * Checks a module: its commands are run on each key in their order, and its queries after each
 * command, all of them twice on equal input with the same `context`, but at another time of the
 * process's clock and with other numbers of `Math.random`. It finds what comes out differently,
 * what cannot be copied, tuples, sizes and loads that are none, and values and keys that are changed
 * where they must not be. It cannot prove that nothing else is there. Synchronous; while it runs a
 * callback, it has `Date`, `Math.random` and the like under its control.
 *
 * @throws `INVALID_MODULE`, `INVALID_ARGUMENT`, `INVALID_KEY` for what cannot be checked at all
 */
export function checkValuePerKey<Value, Key, Command, Ret, Query, QueryRet>(
  module: ValuePerKey<Value, Key, Command, Ret, Query, QueryRet>,
  examples: ModuleExamples<Value, Key, Command, Ret, Query, QueryRet>,
): ModuleReport {
  const judged = judgeExamples(examples);
  checkModule(module, judged.hook);
  return new ModuleCheck(module as ValuePerKey, judged).run();
}

/** As `checkValuePerKey`. @throws `INVALID_MODULE` with the report as its message */
export function assertValuePerKey<Value, Key, Command, Ret, Query, QueryRet>(
  module: ValuePerKey<Value, Key, Command, Ret, Query, QueryRet>,
  examples: ModuleExamples<Value, Key, Command, Ret, Query, QueryRet>,
): ModuleReport {
  const report = checkValuePerKey(module, examples);
  if (report.ok) return report;
  throw new RaftKVError("INVALID_MODULE", String(report));
}

class ModuleCheck {
  private readonly findings = new Findings();
  private readonly examples: JudgedExamples;
  private readonly module: ObservedModule;
  private readonly runner: CommandRunner;
  private readonly context = new ReplicaContext(() => undefined);
  private readonly entries = new Map<unknown, Entry>();
  private different = "";

  constructor(module: ValuePerKey, examples: JudgedExamples) {
    this.examples = examples;
    this.module = new ObservedModule(module, this.context);
    this.runner = new CommandRunner(KEYSPACE, this.module);
  }

  run(): ModuleReport {
    const { commands, keys, queries } = this.examples;
    for (const argument of commands) {
      const asked = queries();
      for (const key of keys) {
        this.command(key, argument);
        for (const query of asked) this.query(key, query);
      }
    }
    return this.findings;
  }

  private command(key: unknown, given: unknown): void {
    const step = { key, argument: given };
    const argument = this.copied(step);
    if (argument === undefined) return;
    const { runner, module, findings } = this;
    const entry = this.entryOf(key);
    const { value, size } = entry;
    const before = comparableText(value);
    this.enter();
    this.different = "";
    const tell = (message: string) => {
      this.different = message;
    };
    runner.check = new DeterminismCheck(KEYSPACE, module, tell);
    const refusal = runner.run(value, size, entry.key, argument.copy, this.context);
    findings.commands++;
    if (this.different !== "") this.impure("command", step, this.different);
    else if (refusal !== null) this.refusal("command", step, refusal);
    this.checkKey("command", step, entry);
    const changed = comparableText(value) !== before;
    if (refusal !== null) {
      if (changed) this.changed("command", step, "changed the previous value and then failed");
      return;
    }
    if (changed && this.examples.inPlace === "reported") {
      this.changed("command", step, "changed the previous value in place");
    }
    const { ret, next, nextSize } = runner;
    for (const fault of unfaithfulParts("ret", ret)) this.unclonable("command", step, fault);
    const faults = unfaithfulParts("nextValue", next);
    for (const fault of faults) this.unclonable("command", step, fault);
    this.committed(step, entry, argument.copy);
    entry.value = faults.length === 0 ? next : withoutFaults(next);
    entry.size = entry.value === undefined ? 0 : nextSize;
  }

  private committed(step: Step, { key, value, size }: Entry, argument: unknown): void {
    const { ret, next, nextSize } = this.runner;
    const sizeAfter = next === undefined ? 0 : nextSize;
    const { hook } = this.examples;
    this.hook(step, next, () =>
      hook?.onCommandCommitted?.(value, size, key, argument, ret, next, sizeAfter),
    );
  }

  private query(key: unknown, given: unknown): void {
    const entry = this.entryOf(key);
    if (entry.value === undefined) return;
    const step = { key, argument: given };
    if (this.copied(step) === undefined) return;
    const { findings } = this;
    const before = comparableText(entry.value);
    const copy = { ...entry, key: copyValue(entry.key), value: copyValue(entry.value) };
    this.enter();
    const first = this.answer(entry, copyValue(given), step);
    const changed = comparableText(entry.value) !== before;
    this.checkKey("query", step, entry);
    if (changed) entry.value = copyValue(copy.value);
    this.enterAgain();
    const second = this.answer(copy, copyValue(given), null);
    findings.queries++;
    const different = ["ret", "load"].filter((_, at) => first[at] !== second[at]);
    if (different.length > 0) this.impure("query", step, queryDiffers(key, different));
    else if (first[2] !== null) this.refusal("query", step, first[2]);
    if (changed)
      this.changed("query", step, "changed the value: only the node that answers does so");
  }

  /** What a query came to: result and load for comparison, and a refusal. */
  private answer(
    entry: Entry,
    argument: unknown,
    step: Step | null,
  ): readonly [ret: string, load: number, refusal: Refusal | null] {
    const counter = { load: 0 };
    const answered = (value: unknown, size: number, key: unknown, arg: unknown, ret: unknown) => {
      if (step === null) return;
      for (const fault of unfaithfulParts("ret", ret)) this.unclonable("query", step, fault);
      const { hook } = this.examples;
      this.hook(step, value, () => hook?.onQueryAnswered?.(value, size, key, arg, ret));
    };
    const observer = { answered, committed: ignore, hookFailed: ignore, changed: ignore };
    const ret = answerQuery(KEYSPACE, this.module, counter, entry, argument, observer);
    if (ret instanceof Refusal) return [`refused: ${ret.message}`, 0, ret];
    return [comparableText(ret), counter.load, null];
  }

  private hook(step: Step, value: unknown, call: () => unknown): void {
    const name = `the hook, on key ${describeKey(step.key)},`;
    const add = (what: string) =>
      this.findings.add({ kind: "hook", where: "hook", ...step, message: `${name} ${what}` });
    const before = comparableText(value);
    try {
      const given = call();
      if (isPromise(given))
        add("returned a promise: nobody waits for it, nor hears that it failed");
      ignoreRejection(given);
    } catch (thrown) {
      ignoreRejection(thrown);
      add(`threw: ${describeThrown(thrown)}`);
    }
    if (comparableText(value) !== before) add("changed the value: the other replicas keep theirs");
  }

  /** A copy of an argument as a module gets it; `undefined` when there is none. */
  private copied(step: Step): { copy: unknown } | undefined {
    const faults = unfaithfulParts("the argument", step.argument);
    for (const fault of faults) this.unclonable("example", step, fault);
    try {
      return { copy: copyValue(step.argument) };
    } catch {
      return undefined;
    }
  }

  /** The next entry of the log: later, and with other numbers. */
  private enter(): void {
    const { context, examples } = this;
    const index = context.index + 1;
    context.enter(index, START_MS + index * STEP_MS, examples.seed, index);
    this.module.begin();
  }

  /** The same entry once more. */
  private enterAgain(): void {
    const { context, examples } = this;
    context.enter(context.index, context.now, examples.seed, context.index);
  }

  private entryOf(key: unknown): Entry {
    const identity = keyIdentity(key as Key);
    let entry = this.entries.get(identity);
    if (entry === undefined) {
      entry = { key: copyValue(key), value: undefined, size: 0 };
      this.entries.set(identity, entry);
    }
    return entry;
  }

  private checkKey(where: "command" | "query", step: Step, entry: Entry): void {
    if (comparableText(entry.key) === comparableText(step.key)) return;
    this.changed(where, step, "changed its key");
    entry.key = copyValue(step.key);
  }

  private impure(where: "command" | "query", step: Step, difference: string): void {
    const { used } = this.module.surroundings;
    const asked = used.size === 0 ? "" : ` It asked ${[...used].sort().join(", ")}.`;
    this.findings.add({ kind: "impure", where, ...step, message: difference + asked });
  }

  private changed(where: "command" | "query", step: Step, what: string): void {
    const message = `the ${where} on key ${describeKey(step.key)} ${what}`;
    this.findings.add({ kind: "changed", where, ...step, message });
  }

  private unclonable(where: ModuleProblem["where"], step: Step, fault: string): void {
    const message = `on key ${describeKey(step.key)}, ${fault}`;
    this.findings.add({ kind: "unclonable", where, ...step, message });
  }

  /** A module may throw where it means to refuse; anything else that fails is a mistake. */
  private refusal(where: "command" | "query", step: Step, { message }: Refusal): void {
    const { threw, outcome } = this.module;
    if (threw) {
      this.findings.refused({ where, ...step, message });
      return;
    }
    const [ret, , next] = Array.isArray(outcome) ? (outcome as unknown[]) : [];
    const faults = [...unfaithfulParts("ret", ret), ...unfaithfulParts("nextValue", next)];
    for (const fault of faults) this.unclonable(where, step, fault);
    if (faults.length === 0) this.findings.add({ kind: "malformed", where, ...step, message });
  }
}

function queryDiffers(key: unknown, different: readonly string[]): string {
  return (
    `the query on key ${describeKey(key)} came out differently when it ran twice on equal input: ` +
    `${different.join(", ")}. It may depend on its arguments alone.`
  );
}

/** What a snapshot would keep of a value. */
function withoutFaults(value: unknown): unknown {
  try {
    return copyValue(value);
  } catch {
    return undefined;
  }
}

function ignore(): void {}
