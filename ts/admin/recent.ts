/** The last lines of a node's log, for whoever has to find out what happened. */
import { RECENT_LINES_MAX } from "../limits.ts";

/** A line of the log. */
export interface LogLine {
  /** In ISO 8601. */
  readonly at: string;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
}

/** See the head of this file. */
export class RecentLines {
  private readonly kept: LogLine[] = [];

  /** The lines, oldest first. */
  get lines(): readonly LogLine[] {
    return this.kept;
  }

  /** Keeps a line, and lets the oldest go where there are too many. */
  add(level: LogLine["level"], message: string): void {
    if (this.kept.length >= RECENT_LINES_MAX) this.kept.shift();
    this.kept.push({ at: new Date().toISOString(), level, message });
  }
}
