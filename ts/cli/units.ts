/** Numbers as people read them. */

/** A count with its thousands set apart. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A number of any size in few characters: `12`, `3.4k`, `5.6M`. */
export function short(value: number): string {
  if (Math.abs(value) < 10 && !Number.isInteger(value)) return value.toFixed(1);
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (Math.abs(value) >= size) return `${(value / size).toFixed(1)}${unit}`;
  }
  return String(Math.round(value));
}

/** Bytes: `512 B`, `3.4 MiB`. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let rest = value;
  while (rest >= 1024 && at < units.length - 1) {
    rest /= 1024;
    at++;
  }
  return `${at === 0 ? rest : rest.toFixed(1)} ${units[at]}`;
}

/** A duration in its two largest units: `3d 4h`, `12s`. */
export function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [Math.floor(seconds) % 60, "s"],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return "0s";
  const shown = parts.slice(first, first + 2).filter(([value]) => value > 0);
  return shown.map(([value, unit]) => `${value}${unit}`).join(" ");
}

/** A part of the hash range as a band of so many characters. */
export function band(start: number, end: number, width: number): string {
  const space = 2 ** 27;
  const from = Math.min(width - 1, Math.floor((start / space) * width));
  const to = Math.max(from + 1, Math.round((end / space) * width));
  return `${"·".repeat(from)}${"█".repeat(to - from)}${"·".repeat(width - to)}`;
}

/** A number of things with their name: `1 node`, `3 nodes`. */
export function of(value: number, one: string): string {
  return `${count(value)} ${one}${value === 1 ? "" : "s"}`;
}

/** A node's name without what all of them begin with, which the verbs take as well. */
export function brief(node: string): string {
  return node.replace(/^node-/, "");
}
