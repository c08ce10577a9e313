/** Numbers, times and ranges as people read them. Pure. */
import { HASHES } from "../types.ts";

/** A count with its thousands set apart. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A number of any size in few characters: `12`, `3.4k`, `5.6M`. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size < 10) return trimmed(value);
  if (size >= 999.5e6) return `${(value / 1e9).toFixed(1)}G`;
  if (size >= 999.5e3) return `${(value / 1e6).toFixed(1)}M`;
  if (size >= 9999.5) return `${(value / 1e3).toFixed(1)}k`;
  return count(value);
}

/** A number of things with their name: `1 shard`, `3 shards`. */
export function of(value: number, one: string): string {
  return `${count(value)} ${one}${value === 1 ? "" : "s"}`;
}

/** A duration of seconds in the unit that fits, such as `250 µs`. */
export function duration(seconds: number): string {
  if (seconds < 0.001) return `${trimmed(seconds * 1e6)} µs`;
  if (seconds < 1) return `${trimmed(seconds * 1e3)} ms`;
  return `${trimmed(seconds)} s`;
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** The interval that loads count for. */
export function per(milliseconds: number): string {
  return milliseconds === 1000 ? "per second" : `per ${duration(milliseconds / 1000)}`;
}

/** A time of day in this browser's zone. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString("en-GB");
}

/** A part of the hash range. */
export function share(start: number, end: number): string {
  return percent((end - start) / HASHES);
}

/** A part of something, as a percentage with as many digits as small ones need. */
export function percent(part: number): string {
  const value = part * 100;
  return `${value >= 10 || value === 0 ? Math.round(value) : Number(value.toFixed(2))} %`;
}

/** A hash value; all have as many digits. */
export function hash(value: number): string {
  return value.toString(16).padStart(7, "0");
}

/** A node's name without what all of them begin with. */
export function brief(node: string): string {
  return node.replace(/^node-/, "");
}

/** How long ago something on a time axis was. */
export function ago(seconds: number): string {
  if (seconds === 0) return "now";
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
