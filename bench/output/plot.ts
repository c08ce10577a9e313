/** A workload's throughput as bars: SVG that is readable on light and on dark pages. */
import { ratioOf } from "../statistics.ts";
import type { Case, Role } from "../suite.ts";
import { rateText, ratioText } from "./markdown.ts";

const WIDTH = 860;
const BAR_LEFT = 200;
const BAR_WIDTH = 420;
const ROW = 20;
const GROUP_GAP = 38;
const TOP = 64;

const STYLE = `<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 }
.case { font-weight: 600 }
.quiet { fill: #59636e }
.page { fill: #ffffff }
.raft-kv { fill: #0969da }
.ceiling { fill: #afb8c1 }
.peer { fill: #bc8c3c }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.quiet { fill: #9198a1 }
.page { fill: #0d1117 }
.raft-kv { fill: #4493f8 }
.ceiling { fill: #59636e }
.peer { fill: #d29922 }
}
</style>`;

/** Text as it may stand inside of an element. */
export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function text(x: number, y: number, content: string, kind = "", anchor = "start"): string {
  const look = kind === "" ? "" : ` class="${kind}"`;
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${look}>${escapeText(content)}</text>`;
}

function bar(y: number, width: number, role: Role): string {
  const size = `width="${Math.max(1, width).toFixed(1)}" height="${ROW - 5}"`;
  return `<rect x="${BAR_LEFT}" y="${y}" ${size} rx="2" class="${role}"/>`;
}

function group({ what, clients, bytes, entries }: Case, top: number): string[] {
  const most = Math.max(1e-9, ...entries.map(({ summary }) => summary.perSecond));
  const noun = clients === 1 ? "client" : "clients";
  const [own] = entries;
  const drawn = [text(16, top, `${what}, ${clients} ${noun}, ${bytes} bytes`, "case")];
  for (const [at, { name, role, summary }] of entries.entries()) {
    const y = top + 8 + at * ROW;
    const width = (summary.perSecond / most) * BAR_WIDTH;
    const ratio = own === undefined || at === 0 ? null : ratioOf(own.summary, summary);
    const beside = ratio === null ? "" : `  (first is ${ratioText(ratio)}x this)`;
    drawn.push(text(BAR_LEFT - 8, y + 12, name, "quiet", "end"), bar(y, width, role));
    const label = `${rateText(summary.perSecond)}/s${beside}`;
    drawn.push(text(BAR_LEFT + width + 8, y + 12, label));
  }
  return drawn;
}

/** Bars of every case, to scale within their case. */
export function plot(title: string, cases: readonly Case[]): string {
  const drawn: string[] = [];
  let top = TOP + 16;
  for (const one of cases) {
    drawn.push(...group(one, top));
    top += GROUP_GAP + one.entries.length * ROW;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}">`,
    STYLE,
    `<rect class="page" width="${WIDTH}" height="${top}"/>`,
    text(16, 28, title, "title"),
    text(16, 48, "operations per second, best round; bars are to scale within each case", "quiet"),
    ...drawn,
    "</svg>\n",
  ].join("\n");
}
