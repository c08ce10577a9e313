/**
 * The functions of `RaftFleet.admin` as routes: `POST /v1/VERB` with their arguments by name as a
 * JSON object; those that only look also answer `GET /v1/VERB?name=value`.
 */
import { RaftKVError } from "../../errors.ts";
import { nearestName } from "../../names.ts";
import type { AdminFunctions } from "../admin.ts";
import type { Json, RecoverOptions } from "../types.ts";
import type { AdminRequest, Route } from "./route.ts";

type Arguments = { readonly [name: string]: Json };

/** A verb: its arguments, and what it calls. */
interface Verb {
  readonly name: string;
  /** Does it change nothing? */
  readonly looks: boolean;
  readonly takes: readonly string[];
  run(admin: AdminFunctions, given: Arguments): Promise<unknown>;
}

const VERBS: readonly Verb[] = [
  { name: "status", looks: true, takes: [], run: (admin) => admin.status() },
  { name: "nodes", looks: true, takes: [], run: (admin) => admin.nodes() },
  { name: "groups", looks: true, takes: [], run: (admin) => admin.groups() },
  { name: "keyspaces", looks: true, takes: [], run: (admin) => admin.keyspaces() },
  {
    name: "shards",
    looks: true,
    takes: ["keyspace"],
    run: (admin, { keyspace }) => admin.shards(keyspace as string),
  },
  {
    name: "top",
    looks: true,
    takes: ["limit"],
    run: (admin, { limit }) => admin.top(numberOf(limit)),
  },
  {
    name: "safe-to-stop",
    looks: true,
    takes: ["node"],
    run: (admin, { node }) => admin.safeToStop(node as string),
  },
  {
    name: "verify",
    looks: false,
    takes: ["group"],
    run: (admin, { group }) => admin.verify(group as string | undefined),
  },
  { name: "sysdump", looks: true, takes: [], run: (admin) => admin.sysdump() },
  {
    name: "transfer-leader",
    looks: false,
    takes: ["group", "node"],
    run: (admin, { group, node }) => admin.transferLeader(group as string, node as string),
  },
  {
    name: "drain",
    looks: false,
    takes: ["node", "wait", "undo"],
    run: (admin, { node, wait, undo }) =>
      admin.drain(node as string, { wait: flagOf("wait", wait), undo: flagOf("undo", undo) }),
  },
  {
    name: "split",
    looks: false,
    takes: ["shard"],
    run: (admin, { shard }) => admin.split(shard as string),
  },
  {
    name: "merge",
    looks: false,
    takes: ["shard"],
    run: (admin, { shard }) => admin.merge(shard as string),
  },
  {
    name: "recover",
    looks: false,
    takes: ["lostNodes", "acceptDataLoss"],
    run: (admin, given) => admin.recover(given as unknown as RecoverOptions),
  },
  {
    name: "get",
    looks: false,
    takes: ["keyspace", "key"],
    run: (admin, { keyspace, key }) => admin.get(keyspace as string, required("key", key)),
  },
  {
    name: "command",
    looks: false,
    takes: ["keyspace", "key", "argument"],
    run: (admin, { keyspace, key, argument }) =>
      admin.command(keyspace as string, required("key", key), argument),
  },
  {
    name: "query",
    looks: false,
    takes: ["keyspace", "key", "argument"],
    run: (admin, { keyspace, key, argument }) =>
      admin.query(keyspace as string, required("key", key), argument),
  },
  {
    name: "keys",
    looks: true,
    takes: ["keyspace", "from", "limit"],
    run: (admin, { keyspace, from, limit }) =>
      admin.keys(keyspace as string, { from: numberOf(from), limit: numberOf(limit) }),
  },
];

/** The routes of all verbs. */
export function verbRoutes(admin: AdminFunctions): Route[] {
  return VERBS.flatMap((verb) => {
    const path = `/v1/${verb.name}`;
    const answer = async (given: Arguments) => {
      checkNames(verb, given);
      return { json: (await verb.run(admin, given)) as Json };
    };
    const post: Route = { method: "POST", path, answer: ({ body }) => answer(body) };
    if (!verb.looks) return [post];
    const get: Route = { method: "GET", path, answer: (request) => answer(fromQuery(request)) };
    return [post, get];
  });
}

function fromQuery({ query }: AdminRequest): Arguments {
  return Object.fromEntries(query);
}

function checkNames({ name, takes }: Verb, given: Arguments): void {
  for (const one of Object.keys(given)) {
    if (takes.includes(one)) continue;
    const near = nearestName(one, takes);
    const list = takes.length === 0 ? "It takes none." : `It takes ${takes.join(", ")}.`;
    const hint = near === null ? list : `Is ${near} meant?`;
    throw wrong(`${name} takes no argument ${JSON.stringify(one.slice(0, 60))}. ${hint}`);
  }
}

/** A number, also one that stands in an address. */
function numberOf(value: Json | undefined): number | undefined {
  if (value === undefined) return undefined;
  return typeof value === "string" && value.trim() !== "" ? Number(value) : (value as number);
}

function flagOf(name: string, value: Json | undefined): boolean | undefined {
  if (value === undefined || typeof value === "boolean") return value;
  throw wrong(`${name} has to be true or false`);
}

function required(name: string, value: Json | undefined): Json {
  if (value !== undefined) return value;
  throw wrong(`${name} is missing`);
}

function wrong(message: string): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", message, { outcome: "not applied" });
}
