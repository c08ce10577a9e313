/** A bar that shows people how far long work has come; programs and files see nothing of it. */
import type { Screen } from "./screen.ts";

const WIDTH = 30;

/** See the head of this file. */
export class ProgressBar {
  private readonly screen: Screen;
  private readonly shown: boolean;
  private drawn = 0;
  private last = "";

  constructor(screen: Screen, json: boolean) {
    this.screen = screen;
    this.shown = screen.isTerminal && !json;
  }

  /** Shows a part of the whole, 0 to 1, and a text beside it. */
  update(done: number, text: string): void {
    const full = Math.round(Math.min(1, Math.max(0, done)) * WIDTH);
    const line = `${"█".repeat(full)}${"·".repeat(WIDTH - full)} ${text}`;
    if (!this.shown || line === this.last) return;
    this.screen.redraw([line.slice(0, this.screen.width - 1)], this.drawn);
    this.last = line;
    this.drawn = 1;
  }
}
