/** `npx raft-kv`: looks at a cluster and changes it, through the admin server of any of its nodes. */
import { RaftKVError } from "../errors.ts";
import { nearestName } from "../names.ts";
import { VERSION } from "../version.ts";
import { connectionOf, readArguments } from "./arguments.ts";
import { confirm, NotConfirmed } from "./ask.ts";
import { CallFailed, Connection } from "./connection.ts";
import { Screen } from "./screen.ts";
import { overview, usageOf } from "./usage.ts";
import { EXIT, type ExitCode, UsageError, type Verb } from "./verb.ts";
import { VERBS_BY_AREA } from "./verbs.ts";

const VERBS = Object.values(VERBS_BY_AREA).flat();

async function main(words: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = words;
  const screen = new Screen(process.stdout, process.env);
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const verb = VERBS.find((one) => one.name === rest[0]);
    screen.line(verb === undefined ? overview(VERBS_BY_AREA) : usageOf(verb));
    return name === undefined ? EXIT.usage : EXIT.good;
  }
  if (name === "version" || name === "--version") {
    screen.line(VERSION);
    return EXIT.good;
  }
  const verb = find(name);
  const { given, options } = readArguments(verb, rest);
  if (options.help === true) {
    screen.line(usageOf(verb));
    return EXIT.good;
  }
  const server = new Connection(connectionOf(options, process.env));
  const json = options.json === true;
  const ask = (question: string) => confirm(question, options.yes === true);
  return verb.run({ given, options, json, server, screen, confirm: ask });
}

function find(name: string): Verb {
  const verb = VERBS.find((one) => one.name === name);
  if (verb !== undefined) return verb;
  if (name.startsWith("-")) throw new UsageError("the verb comes first: raft-kv VERB [OPTIONS]");
  const names = VERBS.map((one) => one.name);
  const near = nearestName(name, names);
  const hint = near === null ? "See raft-kv --help" : `Is ${near} meant?`;
  throw new UsageError(`there is no verb ${name}. ${hint}`);
}

function report(error: unknown, json: boolean): ExitCode {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const message = error instanceof Error ? error.message : String(error);
  if (json && !(error instanceof UsageError)) {
    const { code, action } = isTyped(error) ? error : { code: null, action: null };
    say(JSON.stringify({ error: { code, message, action } }));
  } else if (isTyped(error)) say(`raft-kv: ${message} (${error.code})`);
  else say(`raft-kv: ${message}`);
  if (error instanceof UsageError) return EXIT.usage;
  if (isTyped(error) || error instanceof NotConfirmed) return EXIT.failed;
  if (!json && error instanceof Error) say(error.stack ?? "");
  return EXIT.failed;
}

/** Has it a code? */
function isTyped(error: unknown): error is CallFailed | RaftKVError {
  return error instanceof CallFailed || error instanceof RaftKVError;
}

// Whoever reads the output may stop early, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.good);
  throw error;
});
const words = process.argv.slice(2);
process.exitCode = await main(words).catch((error) => report(error, words.includes("--json")));
