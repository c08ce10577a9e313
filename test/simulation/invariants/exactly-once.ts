/**
 * A command takes effect at most once over all shards, whatever is sent again, and exactly once when
 * it was acknowledged; one that is said to be not applied never does (`design/architecture.md`,
 * section 8 and guarantee 1; `design/transfer.md`, invariant 4).
 */
import type { Call } from "../calls.ts";

/** Judges each effect as it is committed. */
export class Effects {
  private readonly counts = new Map<string, number>();
  private readonly fail: (error: Error) => void;

  /** `fail` ends the run: what user code throws would be one more refusal. */
  constructor(fail: (error: Error) => void) {
    this.fail = fail;
  }

  happened(command: string): void {
    const count = (this.counts.get(command) ?? 0) + 1;
    this.counts.set(command, count);
    if (count > 1) this.fail(new Error(`${command} took effect ${count} times`));
  }

  /** To be called when nothing is under way any more. */
  check(calls: readonly Call[]): void {
    for (const { id, outcome } of calls) {
      const count = this.counts.get(id) ?? 0;
      if (outcome === "acknowledged" && count !== 1) {
        throw new Error(`${id} was acknowledged and took effect ${count} times`);
      }
      if (outcome === "not applied" && count > 0) {
        throw new Error(`${id} was said to be not applied and took effect`);
      }
    }
  }
}
