/** What a check of a module found. */
import { inspect } from "node:util";

/**
 * Kinds of problems:
 * - `"impure"`: it came out differently when it ran twice on equal input;
 * - `"changed"`: it changed in place what it must leave as it is;
 * - `"unclonable"`: a value, argument or result has parts that a copy does not have;
 * - `"malformed"`: it returned something else than a tuple with a load and size of 0 or more;
 * - `"hook"`: the leader hook threw, returned a promise, or changed the value.
 */
export type ModuleProblemKind = "impure" | "changed" | "unclonable" | "malformed" | "hook";

/** Something that has to be mended. */
export interface ModuleProblem {
  readonly kind: ModuleProblemKind;
  /** Which function it is about; "example": an argument that was given to the check. */
  readonly where: "command" | "query" | "hook" | "example";
  readonly key: unknown;
  readonly argument: unknown;
  /** What is wrong, for people. */
  readonly message: string;
}

/** A command or query that threw, and did so both times: fine, where the module means it. */
export interface ModuleRefusal {
  readonly where: "command" | "query";
  readonly key: unknown;
  readonly argument: unknown;
  readonly message: string;
}

/** What a check found; `String(report)` says it in words. */
export interface ModuleReport {
  /** Nothing has to be mended. */
  readonly ok: boolean;
  /** At most 100, and each of them once. */
  readonly problems: readonly ModuleProblem[];
  /** At most 100. */
  readonly refusals: readonly ModuleRefusal[];
  /** Commands that were run, each twice. */
  readonly commands: number;
  /** Queries that were run, each twice. */
  readonly queries: number;
  /** All of it in words, a problem a line. */
  toString(): string;
}

const FOUND_MAX = 100;
const ARGUMENT_CHARACTERS_MAX = 120;

/** Collects what is found. */
export class Findings implements ModuleReport {
  readonly problems: ModuleProblem[] = [];
  readonly refusals: ModuleRefusal[] = [];
  commands = 0;
  queries = 0;
  private readonly told = new Set<string>();

  get ok(): boolean {
    return this.problems.length === 0;
  }

  /** Notes a problem, unless the same was noted before. */
  add(problem: ModuleProblem): void {
    const same = `${problem.kind} ${problem.where} ${problem.message}`;
    if (this.problems.length >= FOUND_MAX || this.told.has(same)) return;
    this.told.add(same);
    this.problems.push(problem);
  }

  /** Notes that a function threw. */
  refused(refusal: ModuleRefusal): void {
    if (this.refusals.length < FOUND_MAX) this.refusals.push(refusal);
  }

  toString(): string {
    const ran = `${counted(this.commands, "command", "commands")} and ${counted(this.queries, "query", "queries")}`;
    if (this.ok) return `The module is pure, as far as ${ran} show.`;
    const count = counted(this.problems.length, "problem", "problems");
    const lines = this.problems.map(
      ({ kind, where, argument, message }) => `- ${where}, ${kind}: ${message}${shown(argument)}`,
    );
    return [`${count} of the module, in ${ran}:`, ...lines].join("\n");
  }
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function shown(argument: unknown): string {
  try {
    const text = inspect(argument, { breakLength: Number.POSITIVE_INFINITY });
    const short =
      text.length > ARGUMENT_CHARACTERS_MAX ? `${text.slice(0, ARGUMENT_CHARACTERS_MAX)}...` : text;
    return ` (argument: ${short})`;
  } catch {
    return "";
  }
}
