/** Writes metrics in the text format of Prometheus (0.0.4). */
import type { Histogram } from "./histogram.ts";

/** Names and values that tell the samples of one metric apart. */
export type Labels = Readonly<Record<string, string>>;

/** A sample: its labels, and its value. */
export type Sample = readonly [labels: Labels, value: number];

/** The media type of the text. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const PREFIX = "raftkv_";

/** See the head of this file. */
export class Exposition {
  private readonly lines: string[] = [];

  /** A value that may rise and fall. */
  gauge(name: string, help: string, samples: number | readonly Sample[]): void {
    this.family(name, "gauge", help, samples);
  }

  /** A count since the node was opened; the name ends with `_total`. */
  counter(name: string, help: string, samples: number | readonly Sample[]): void {
    this.family(name, "counter", help, samples);
  }

  /** Durations in seconds. */
  histogram(name: string, help: string, samples: readonly (readonly [Labels, Histogram])[]): void {
    const full = this.head(name, "histogram", help);
    for (const [labels, { buckets, counts, count, sum }] of samples) {
      let below = 0;
      for (const [at, bucket] of buckets.entries()) {
        below += counts[at] as number;
        this.sample(`${full}_bucket`, { ...labels, le: String(bucket) }, below);
      }
      this.sample(`${full}_bucket`, { ...labels, le: "+Inf" }, count);
      this.sample(`${full}_sum`, labels, sum);
      this.sample(`${full}_count`, labels, count);
    }
  }

  /** The text of everything that was written. */
  text(): string {
    return `${this.lines.join("\n")}\n`;
  }

  private family(
    name: string,
    type: string,
    help: string,
    samples: number | readonly Sample[],
  ): void {
    const full = this.head(name, type, help);
    if (typeof samples === "number") this.sample(full, {}, samples);
    else for (const [labels, value] of samples) this.sample(full, labels, value);
  }

  private head(name: string, type: string, help: string): string {
    const full = `${PREFIX}${name}`;
    const line = help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
    this.lines.push(`# HELP ${full} ${line}`, `# TYPE ${full} ${type}`);
    return full;
  }

  private sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    const within = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
    this.lines.push(`${name}${within} ${Number.isFinite(value) ? value : "NaN"}`);
  }
}

function escaped(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}
