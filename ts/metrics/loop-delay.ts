/**
 * How late the event loop gets to timers: one measurement for the process, begun when it is first
 * asked for, since it costs a timer.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 20;
let measured: IntervalHistogram | undefined;

/** Delays in seconds since this was last called; zeros the first time. */
export function takeLoopDelay(): {
  readonly median: number;
  readonly p99: number;
  readonly max: number;
} {
  if (measured === undefined) {
    measured = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    measured.enable();
    return { median: 0, p99: 0, max: 0 };
  }
  // What is measured is the time between two timers, which their interval is a part of.
  const delay = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1e3);
  const { max } = measured;
  const taken = {
    median: delay(measured.percentile(50)),
    p99: delay(measured.percentile(99)),
    max: delay(max),
  };
  measured.reset();
  return taken;
}
