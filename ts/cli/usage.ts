/** How the command line is used, as `--help` says it. */
import { COMMON_OPTIONS } from "./arguments.ts";
import type { Verb, VerbOption } from "./verb.ts";

/** Columns of a help text. */
const WIDTH = 80;

/** The overview of all verbs. */
export function overview(areas: Readonly<Record<string, readonly Verb[]>>): string {
  const lines = ["Usage: raft-kv VERB [ARGUMENTS] [OPTIONS]"];
  for (const [area, verbs] of Object.entries(areas)) {
    lines.push("", `${area}:`);
    for (const verb of verbs) lines.push(`  ${signature(verb).padEnd(32)} ${verb.summary}`);
  }
  lines.push("", "Options:", ...optionLines(COMMON_OPTIONS), "");
  lines.push("Exit codes: 0 good, 1 failed, 2 wrongly used, 3 degraded or unsafe.");
  lines.push("raft-kv VERB --help says more about a verb.");
  return lines.join("\n");
}

/** How one verb is used. */
export function usageOf(verb: Verb): string {
  const lines = [`Usage: raft-kv ${signature(verb)} [OPTIONS]`, "", sentence(verb.summary)];
  if (verb.details !== undefined) lines.push("", wrapped(verb.details));
  lines.push("", "Options:", ...optionLines({ ...verb.options, ...COMMON_OPTIONS }));
  return lines.join("\n");
}

/** The paragraphs of a text, in lines that fit. */
function wrapped(text: string): string {
  const paragraphs = text.split("\n\n").map((paragraph) => {
    let line = "";
    const lines: string[] = [];
    for (const word of paragraph.split(/\s+/)) {
      if (line !== "" && line.length + word.length >= WIDTH) {
        lines.push(line);
        line = "";
      }
      line += line === "" ? word : ` ${word}`;
    }
    return [...lines, line].join("\n");
  });
  return paragraphs.join("\n\n");
}

function signature({ name, parameters }: Verb): string {
  return `${name} ${parameters}`.trimEnd();
}

function sentence(summary: string): string {
  return `${summary[0]?.toUpperCase()}${summary.slice(1)}.`;
}

function optionLines(options: Readonly<Record<string, VerbOption>>): string[] {
  return Object.entries(options).map(([name, { type, help }]) => {
    const [value, rest] = type === "string" ? help.split(": ", 2) : ["", help];
    return `  ${`--${name} ${value}`.trimEnd().padEnd(20)}  ${rest}`;
  });
}
