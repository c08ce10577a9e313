/** What the page knows: the newest view, and the samples of the last minutes. Pure. */
import type { Past, Sample, View } from "../types.ts";

/** Milliseconds of the past that are kept. */
const KEPT_MS = 300_000;

/** What colours show. */
export type Metric = "load" | "keys";

/** See the head of this file. */
export class Model {
  samples: Sample[] = [];
  view: View | undefined;
  metric: Metric = "load";

  /** Takes in the past, in place of what was known of it. */
  takePast({ samples }: Past): void {
    this.samples = [...samples];
  }

  /** Takes in how things are. */
  takeView(view: View): void {
    this.view = view;
    const last = this.samples.at(-1);
    if (last === undefined || last.at < view.sample.at) this.samples.push(view.sample);
    const oldest = view.at - KEPT_MS;
    while ((this.samples[0]?.at ?? oldest) < oldest) this.samples.shift();
  }
}
