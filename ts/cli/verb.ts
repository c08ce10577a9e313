/** What a verb of the command line is. Each has a file in `verbs/`, and a place in `verbs.ts`. */
import type { Connection } from "./connection.ts";
import type { Screen } from "./screen.ts";

/** Exit codes. */
export const EXIT = {
  good: 0,
  failed: 1,
  usage: 2,
  /** It worked, and what it found is not as it should be. */
  degraded: 3,
} as const;

/** One of `EXIT`. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line was not written as it has to be. */
export class UsageError extends Error {}

/** An option of a verb. */
export interface VerbOption {
  readonly type: "boolean" | "string";
  /** What it does; for a string, the value's name stands before: `N: how many`. */
  readonly help: string;
}

/** What a verb is run with. */
export interface Invocation {
  /** As many as the verb's parameters allow. */
  readonly given: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** Print what programs read? */
  readonly json: boolean;
  readonly server: Connection;
  readonly screen: Screen;
  /** Asks whether to go on. @throws when the answer is no, or there is nobody to ask */
  confirm(question: string): Promise<void>;
}

/** See the head of this file. */
export interface Verb {
  readonly name: string;
  /** The parameters as they are written: `GROUP NODE`, `KEYSPACE [KEY]`, `NODE...`. */
  readonly parameters: string;
  readonly summary: string;
  /** What else there is to know, for `--help`. */
  readonly details?: string;
  readonly options?: Readonly<Record<string, VerbOption>>;
  run(invocation: Invocation): Promise<ExitCode>;
}
