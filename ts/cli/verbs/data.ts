/** `raft-kv keys`, `get`, `query` and `command`: keys and values as JSON. */
import type { Json, KeysView, StoredValue } from "../../admin/types.ts";
import { EXIT, UsageError, type Verb } from "../verb.ts";

const AS_JSON =
  "KEY and ARGUMENT are JSON; a word that is none counts as a text. What JSON lacks is written\n" +
  'with a mark: {"$bigint":"12"}, {"$bytes":"AQID"}, {"$date":"2026-11-25T00:00:00Z"},\n' +
  '{"$map":[["key","value"]]}, {"$set":[1,2]}. The text 5 is \'"5"\'.';

/** JSON, or the word itself. */
function wordAsJson(word: string): Json {
  try {
    return JSON.parse(word) as Json;
  } catch {
    return word;
  }
}

/** A call of the keyspace's code; without an argument it gets `undefined`. */
function callOf(words: readonly (string | undefined)[]): Readonly<Record<string, Json>> {
  const [keyspace, key, argument] = words;
  const call = { keyspace: keyspace as string, key: wordAsJson(key as string) };
  return argument === undefined ? call : { ...call, argument: wordAsJson(argument) };
}

export const get: Verb = {
  name: "get",
  parameters: "KEYSPACE KEY",
  summary: "what is stored under a key",
  details: `Shows the stored value without asking the keyspace's code. Ends with 1 when there is no\nsuch key.\n\n${AS_JSON}`,
  async run({ server, screen, json, given: [keyspace, key] }) {
    const given = { keyspace, key: wordAsJson(key as string) };
    const stored = await server.call<StoredValue>("get", given);
    if (json) screen.json(stored);
    else if (stored.found) screen.json(stored.value);
    else process.stderr.write(`raft-kv: there is no key ${key} in ${keyspace}\n`);
    return stored.found ? EXIT.good : EXIT.failed;
  },
};

export const query: Verb = {
  name: "query",
  parameters: "KEYSPACE KEY [ARGUMENT]",
  summary: "ask the keyspace's code about a key",
  details: AS_JSON,
  async run({ server, screen, given }) {
    screen.json(await server.call<Json>("query", callOf(given)));
    return EXIT.good;
  },
};

export const command: Verb = {
  name: "command",
  parameters: "KEYSPACE KEY [ARGUMENT]",
  summary: "run a command of its code on a key",
  details: AS_JSON,
  async run({ server, screen, given, confirm }) {
    const [keyspace, key] = given;
    await confirm(`Run the command on ${key} of ${keyspace}?`);
    screen.json(await server.call<Json>("command", callOf(given)));
    return EXIT.good;
  },
};

export const keys: Verb = {
  name: "keys",
  parameters: "KEYSPACE",
  summary: "the keys of a keyspace, one a line",
  options: { limit: { type: "string", help: "N: how many at most (all)" } },
  details: "In the order of their hashes. With --json each line is the key as JSON.",
  async run({ server, screen, json, given: [keyspace], options }) {
    const limit = options.limit === undefined ? Number.POSITIVE_INFINITY : Number(options.limit);
    if (!(limit >= 1)) throw new UsageError("--limit takes a number");
    let left = limit;
    for (let from: number | null = 0; from !== null && left > 0; ) {
      const page: KeysView = await server.call<KeysView>("keys", {
        ...{ keyspace, from, limit: Math.min(left, 1000) },
      });
      for (const key of page.keys.slice(0, left)) {
        screen.line(typeof key === "string" && !json ? key : JSON.stringify(key));
      }
      left -= page.keys.length;
      from = page.next;
    }
    return EXIT.good;
  },
};
