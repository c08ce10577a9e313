/** What a node says to the program's logger, and keeps for a system dump. */
import { RecentLines } from "../admin/recent.ts";
import type { LogFields } from "../host/log-line.ts";

/**
 * Takes the node's messages; pino, winston and `console` have this shape. A pino logger is given the
 * fields of a line as its first argument, as pino wants it; others find them in the text, as
 * `name=value`. Nothing that a logger throws disturbs the node.
 */
export interface Logger {
  /** Details of what goes on inside. */
  debug(message: string): void;
  /** Something changed: a leader, a member, a connection. */
  info(message: string): void;
  /** Something that an operator may have to see to. */
  warn(message: string): void;
  /** Something failed for good. */
  error(message: string): void;
}

/** The levels of lines, the least severe first. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** How severe a line is. */
export type LogLevel = (typeof LOG_LEVELS)[number];

interface Pino {
  bindings(): unknown;
  info(fields: LogFields, message: string): void;
}

/** Is it a pino logger? No other has the method. */
function isPino(logger: object): logger is Record<LogLevel, Pino["info"]> & Pino {
  return typeof (logger as Partial<Pino>).bindings === "function";
}

/** The line as one text. */
function textOf(message: string, fields: LogFields): string {
  const { component, ...rest } = fields;
  const begin = component === undefined ? message : `${component}: ${message}`;
  const named = Object.entries(rest).map(([name, value]) => ` ${name}=${textOfValue(value)}`);
  return begin + named.join("");
}

function textOfValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOfValue).join(",");
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}

/** See the head of this file. */
export class NodeLog {
  readonly recent = new RecentLines();
  private readonly logger: Logger | undefined;
  private readonly least: number;

  /** Lines less severe than `level` are dropped. */
  constructor(logger: Logger | undefined, level: LogLevel) {
    this.logger = logger;
    this.least = LOG_LEVELS.indexOf(level);
  }

  /** Says a line. */
  write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) < this.least) return;
    const text = textOf(message, fields);
    this.recent.add(level, text);
    const { logger } = this;
    if (logger === undefined) return;
    try {
      if (isPino(logger)) logger[level](fields, message);
      else logger[level](text);
    } catch (error) {
      this.recent.add("warn", `the program's logger threw: ${String(error)}`);
    }
  }
}
