/**
 * A node whose clients set, read and count, and write down what they call and what they are
 * answered, in a file that outlives the process. Otherwise like `cluster-node.mjs`.
 *
 * A line of the file is `["call", id, time, key, action]`, `["ok", id, time, result]`,
 * `["failed", id, time, code]` (not applied) or `["unknown", id, time, code]`; "stale" instead of
 * "call" is a query that may be behind. Times are nanoseconds of the machine's monotonic clock.
 */
import { openSync, writeSync } from "node:fs";
import { createNode } from "raft-kv";
import { argument } from "../../process/programs/modules.mjs";
import { groupsOf, loggerOf, serve } from "../../process/programs/serving.mjs";

const options = JSON.parse(argument(0));
const { history, clockShift } = JSON.parse(argument(1));
const node = createNode({ ...options, logger: loggerOf() });
const file = openSync(history, "a");
let nextId = 0;

/** A register or a counter; "ballast" makes the log grow and is not kept. */
const module = {
  command: (previous, _size, _key, { name, value, expected }) => {
    if (name === "add") return [(previous ?? 0) + 1, 1, (previous ?? 0) + 1, 8];
    if (name === "set") return ["ok", 1, value ?? undefined, 8];
    const found = previous ?? null;
    return [found, 1, found === expected ? value : previous, 8];
  },
  query: (value) => [value, 1],
};

/** Nanoseconds; a process in a time namespace of its own has its clock shifted by so many. */
function now() {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds - clockShift) * 1e9 + nanoseconds;
}

function write(...record) {
  writeSync(file, `${JSON.stringify(record)}\n`);
}

/** Stands for an answer. */
class Failure {
  constructor(text) {
    this.text = text;
  }
}

/** Makes one call, with what became of it written down. */
async function perform(keyspace, key, action, callOptions) {
  const id = nextId++;
  const isQuery = action.name === "get";
  const kind = callOptions.consistency === "stale" ? "stale" : "call";
  const { ballast, ...written } = action;
  write(kind, id, now(), `${keyspace}/${key}`, written);
  try {
    const result = isQuery
      ? ((await node.kv.query(keyspace, key, "get", callOptions)) ?? initial(key))
      : await node.kv.command(keyspace, key, action, callOptions);
    write("ok", id, now(), result);
    return result;
  } catch (error) {
    const isUnknown = error.outcome === "unknown" || error.code === undefined;
    write(isUnknown ? "unknown" : "failed", id, now(), error.code ?? String(error));
    return new Failure(`${keyspace}/${key}: ${error.code}: ${error.message}`);
  }
}

function initial(key) {
  return key.startsWith("counter") ? 0 : null;
}

/** Clients that each make one call after another. */
class Work {
  constructor({ clients, registers, counters, keyspaces, pause, ballast, callOptions }) {
    this.running = true;
    this.settings = { registers, counters, keyspaces, pause, ballast, callOptions };
    this.clients = Array.from({ length: clients }, () => this.client());
  }

  async client() {
    const { registers, counters, keyspaces, pause, callOptions } = this.settings;
    /** What this client saw last of each register. */
    const seen = new Map();
    while (this.running) {
      const keyspace = keyspaces[Math.floor(Math.random() * keyspaces.length)];
      const at = Math.floor(Math.random() * (registers + counters));
      const isCounter = at >= registers;
      const key = isCounter ? `counter-${at - registers}` : `register-${at}`;
      const action = isCounter ? this.count() : this.change(seen.get(key) ?? null);
      const isStale = action.name === "get" && Math.random() < 0.3;
      const consistency = isStale ? { consistency: "stale" } : {};
      const result = await perform(keyspace, key, action, { ...callOptions, ...consistency });
      if (!isCounter && action.name !== "set" && !(result instanceof Failure))
        seen.set(key, result);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * pause));
    }
  }

  count() {
    return Math.random() < 0.5 ? { name: "add", ballast: this.ballast() } : { name: "get" };
  }

  change(found) {
    const chance = Math.random();
    const value = `${process.pid}-${nextId}`;
    if (chance < 0.4) return { name: "get" };
    if (chance < 0.65) return { name: "set", value, ballast: this.ballast() };
    if (chance < 0.7) return { name: "set", value: null };
    return { name: "compareAndSet", expected: found, value };
  }

  ballast() {
    return "x".repeat(Math.random() * this.settings.ballast);
  }

  async stop() {
    this.running = false;
    await Promise.all(this.clients);
  }
}

let work;

serve(node, {
  activate: async (zone) => {
    await node.fleet.activate(zone);
    node.kv.events.on("replicaDivergence", (fault) => {
      console.log(`divergence ${JSON.stringify(fault)}`);
    });
    await node.kv.init();
    return node.fleet.nodeName();
  },
  open: async (keyspaces) => {
    for (const [name, policy] of keyspaces) await node.kv.openKeyspace(name, module, null, policy);
  },
  work: (settings) => {
    work = new Work(settings);
  },
  stopWork: () => work?.stop(),
  /** Reads every key; what comes of it is what could not be read, and why. */
  sweep: ({ registers, counters, keyspaces }, callOptions) => {
    const keys = [
      ...Array.from({ length: registers }, (_, at) => `register-${at}`),
      ...Array.from({ length: counters }, (_, at) => `counter-${at}`),
    ];
    const all = keyspaces.flatMap((keyspace) =>
      keys.map((key) => perform(keyspace, key, { name: "get" }, callOptions)),
    );
    return Promise.all(all).then((results) =>
      results.filter((one) => one instanceof Failure).map(({ text }) => text),
    );
  },
  groups: () => groupsOf(node),
  transferLeader: async (group, to) => {
    await node.fleet.lifecycle.core().engine.transferLeader(group, to);
  },
  wallClock: () => Date.now(),
});
console.log(`started ${process.pid}`);
