/** Tells screen readers what matters, and little of it: changes that follow each other are one. */
import { part } from "./dom.ts";

/** Milliseconds between two announcements at least. */
const QUIET_MS = 8_000;

/** See the head of this file. */
export class Announcer {
  private readonly element = part("announcer");
  private readonly waiting = new Map<string, string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private last = Number.NEGATIVE_INFINITY;

  /** Announces soon; of several texts about the same, only the last. */
  say(about: string, text: string): void {
    this.waiting.set(about, text);
    if (this.timer !== undefined) return;
    const wait = Math.max(0, this.last + QUIET_MS - performance.now());
    this.timer = setTimeout(() => this.flush(), wait);
  }

  private flush(): void {
    this.timer = undefined;
    this.last = performance.now();
    this.element.textContent = [...this.waiting.values()].join(". ");
    this.waiting.clear();
  }
}
