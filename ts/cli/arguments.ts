/** Reads the command line: which verb, with what, and how the node is reached. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nearestName } from "../names.ts";
import type { ConnectionSettings } from "./connection.ts";
import { UsageError, type Verb, type VerbOption } from "./verb.ts";

/** Options of every verb. */
export const COMMON_OPTIONS = {
  connect: { type: "string", help: "HOST:PORT: the admin server (127.0.0.1:4480)" },
  json: { type: "boolean", help: "print JSON for programs" },
  yes: { type: "boolean", help: "do not ask before something is changed" },
  "token-file": { type: "string", help: "FILE: the server's token, else RAFT_KV_ADMIN_TOKEN" },
  "tls-ca": { type: "string", help: "FILE: certificates to check the server against" },
  "tls-cert": { type: "string", help: "FILE: the certificate to show" },
  "tls-key": { type: "string", help: "FILE: its private key" },
  help: { type: "boolean", help: "say how the verb is used" },
} as const satisfies Readonly<Record<string, VerbOption>>;

const SHORT: Readonly<Record<string, string>> = { help: "h", yes: "y" };

/** What the command line says. */
export interface Read {
  readonly given: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/** Reads the arguments of a verb. @throws UsageError */
export function readArguments(verb: Verb, words: readonly string[]): Read {
  const known: Readonly<Record<string, VerbOption>> = { ...COMMON_OPTIONS, ...verb.options };
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { type }]) => {
      const short = SHORT[name];
      return [name, short === undefined ? { type } : { type, short }];
    }),
  );
  let read: ReturnType<typeof parseArgs>;
  try {
    read = parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(explain(error, Object.keys(known)));
  }
  const values = read.values as Read["options"];
  if (values.help !== true) checkCount(verb, read.positionals);
  return { given: read.positionals, options: values };
}

/** Where the node's admin server is, and what it is shown. @throws UsageError */
export function connectionOf(
  options: Read["options"],
  environment: NodeJS.ProcessEnv,
): ConnectionSettings {
  const { RAFT_KV_CONNECT, RAFT_KV_ADMIN_LISTEN, RAFT_KV_ADMIN_TOKEN } = environment;
  const named = options.connect || RAFT_KV_CONNECT || RAFT_KV_ADMIN_LISTEN || "127.0.0.1:4480";
  const parts = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(String(named));
  if (parts === null) throw new UsageError(`--connect takes HOST:PORT, not ${named}`);
  const file = options["token-file"];
  const token = typeof file === "string" ? contents(file).trim() : RAFT_KV_ADMIN_TOKEN;
  return {
    host: parts[1] ?? parts[2] ?? "127.0.0.1",
    port: Number(parts[3]),
    token: token || undefined,
    tls: tlsOf(options, environment),
  };
}

function tlsOf(options: Read["options"], environment: NodeJS.ProcessEnv) {
  const part = (name: "ca" | "cert" | "key") => {
    const value = options[`tls-${name}`] ?? environment[`RAFT_KV_ADMIN_TLS_${name.toUpperCase()}`];
    if (typeof value !== "string" || value === "") return {};
    return { [name]: value.includes("-----BEGIN ") ? value : contents(value) };
  };
  const tls = { ...part("ca"), ...part("cert"), ...part("key") };
  return Object.keys(tls).length === 0 ? undefined : tls;
}

function contents(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : ""}`);
  }
}

function checkCount({ name, parameters }: Verb, given: readonly string[]): void {
  const names = parameters === "" ? [] : parameters.split(" ");
  const needed = names.filter((one) => !one.startsWith("[")).length;
  const most = names.at(-1)?.endsWith("...") ? Number.POSITIVE_INFINITY : names.length;
  if (given.length >= needed && given.length <= most) return;
  const missing = names[given.length];
  const problem =
    given.length < needed ? `${missing} is missing` : `${given[names.length]} is too much`;
  throw new UsageError(`${problem}: raft-kv ${name} ${parameters}`.trimEnd());
}

function explain(error: unknown, known: readonly string[]): string {
  const message = error instanceof Error ? (error.message.split(". ", 1)[0] ?? "") : String(error);
  const unknown = /Unknown option '--?([^']+)'/.exec(message)?.[1];
  if (unknown === undefined) return message;
  const near = nearestName(unknown, known);
  return `there is no option --${unknown}${near === null ? "" : `. Is --${near} meant?`}`;
}
