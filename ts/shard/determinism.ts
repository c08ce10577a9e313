/**
 * Runs each command a second time on copies of its input, and reports what came out differently:
 * `checkDeterminism`, for development. The first outcome counts, as if the second had never been.
 *
 * It sees what a module does within one process (chance, clocks, state of its own); what differs
 * from node to node is found by the replicas' checksums.
 */
import { comparableText, copyValue } from "../codec/index.ts";
import { DETERMINISM_REPORTS_MAX } from "../limits.ts";
import type { Refusal } from "../machine/machine.ts";
import { CommandRunner, type CommandTime } from "./command.ts";
import { describeKey } from "./describe.ts";
import type { ValuePerKey } from "./module.ts";

/** Told of a command that is not deterministic. */
export type ReportDifference = (message: string) => void;

/** The parts of an outcome, as people know them. */
const PARTS = ["the error", "ret", "load", "nextValue", "nextSize"] as const;

/** See the head of this file. */
export class DeterminismCheck {
  private readonly keyspace: string;
  private readonly second: CommandRunner;
  private readonly report: ReportDifference;
  private reports = 0;

  constructor(keyspace: string, module: ValuePerKey, report: ReportDifference) {
    this.keyspace = keyspace;
    this.second = new CommandRunner(keyspace, module);
    this.report = report;
  }

  /** Runs a command as `runner` does by itself, and once more. */
  run(
    runner: CommandRunner,
    previous: unknown,
    size: number,
    key: unknown,
    argument: unknown,
    entry: CommandTime,
  ): Refusal | null {
    let copies: readonly [unknown, unknown, unknown] | undefined;
    try {
      copies = [copyValue(previous), copyValue(key), copyValue(argument)];
    } catch {
      // What cannot be copied cannot be run on again.
    }
    const drawn = new Drawn(entry);
    const refusal = runner.call(previous, size, key, argument, drawn);
    if (copies === undefined) return refusal;
    const [previousCopy, keyCopy, argumentCopy] = copies;
    const first = this.parts(runner, refusal);
    const again = this.second.call(previousCopy, size, keyCopy, argumentCopy, drawn.again());
    const other = this.parts(this.second, again);
    const different = PARTS.filter((_, at) => first[at] !== other[at]);
    if (different.length > 0) this.tell(key, different);
    return refusal;
  }

  private parts(runner: CommandRunner, refusal: Refusal | null): string[] {
    const { ret, load, next, nextSize } = runner;
    const parts = refusal === null ? [null, ret, load, next, nextSize] : [refusal.message];
    return PARTS.map((_, at) => comparableText(parts[at]));
  }

  private tell(key: unknown, different: readonly string[]): void {
    if (this.reports++ >= DETERMINISM_REPORTS_MAX) return;
    const which = different.join(", ");
    this.report(
      `The command of keyspace ${JSON.stringify(this.keyspace)} on key ${describeKey(key)} came ` +
        `out differently when it ran twice on equal input: ${which}. It has to be pure: time and ` +
        "chance are in its last argument (now, random()), everything else in the value.",
    );
  }
}

/** The time and chance of an entry, which notes what was drawn. */
class Drawn implements CommandTime {
  readonly now: number;
  private readonly entry: CommandTime;
  private readonly numbers: number[] = [];

  constructor(entry: CommandTime) {
    this.now = entry.now;
    this.entry = entry;
  }

  random(): number {
    const number = this.entry.random();
    this.numbers.push(number);
    return number;
  }

  /** The same once more; whoever draws more than before gets numbers that the entry does not miss. */
  again(): CommandTime {
    let at = 0;
    return { now: this.now, random: () => this.numbers[at++] ?? 1 / (at + 1) };
  }
}
