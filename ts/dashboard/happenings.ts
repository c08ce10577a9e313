/**
 * The last things that happened, each once: a leader change is told twice, and a split both by the
 * node that carried it out and by the borders that moved. Pure; bounded in number.
 */
import { DASHBOARD_HAPPENINGS_MAX, DASHBOARD_REPEAT_MS } from "../limits.ts";
import type { Happening } from "./types.ts";

/** Something to be told. */
export interface Told {
  readonly at: number;
  readonly kind: string;
  readonly text: string;
  /** What it is about: within a moment, the same said of the same is one happening. */
  readonly about: string;
  /** Concluded, and not told by who did it: gives way to what is. */
  readonly concluded?: boolean;
}

/** See the head of this file. */
export class Happenings {
  private kept: (Told & { readonly number: number })[] = [];
  private next = 1;

  /** The last ones, oldest first. */
  get all(): Happening[] {
    return this.kept.map(({ number, at, kind, text }) => ({ number, at, kind, text }));
  }

  /** Takes in one more. */
  add(told: Told): void {
    const last = this.kept.findLastIndex(({ about }) => about === told.about);
    const known = this.kept[last];
    if (known !== undefined && told.at - known.at < DASHBOARD_REPEAT_MS) {
      if (told.concluded || known.text === told.text) return;
      if (known.concluded) {
        this.kept[last] = { ...told, number: known.number, at: known.at };
        return;
      }
    }
    this.kept.push({ ...told, number: this.next++ });
    if (this.kept.length > DASHBOARD_HAPPENINGS_MAX) this.kept.shift();
  }
}
