/** A node that does what its standard input says, see `serving.mjs`; it can count under load. */
import { createNode } from "raft-kv";
import { argument, counterModule } from "./modules.mjs";
import { overloadCalls } from "./overload.mjs";
import { groupsOf, loggerOf, serve } from "./serving.mjs";

const options = JSON.parse(argument(0));
const node = createNode({ ...options, logger: loggerOf() });

/** Counts with many clients until told to stop. */
class Load {
  constructor({ keyspace, clients, keys, callOptions, ballast = 0, pause = 0 }) {
    this.running = true;
    this.ballast = "x".repeat(ballast);
    this.pause = pause;
    this.attempted = new Array(keys).fill(0);
    this.acknowledged = new Array(keys).fill(0);
    this.unknown = new Array(keys).fill(0);
    this.highest = new Array(keys).fill(0);
    this.errors = {};
    this.faults = [];
    /** The longest time without an acknowledgement, in milliseconds, and the last one's time. */
    this.longestPause = 0;
    this.last = performance.now();
    this.lastOfKey = new Array(keys).fill(this.last);
    this.longestPauseOfKey = 0;
    this.clients = Array.from({ length: clients }, (_, at) =>
      this.client(keyspace, at, clients, keys, callOptions),
    );
  }

  async client(keyspace, first, step, keys, callOptions) {
    for (let at = first; this.running; at += step) {
      const key = at % keys;
      this.attempted[key]++;
      try {
        const count = await node.kv.command(
          keyspace,
          `key-${key}`,
          { ballast: this.ballast },
          callOptions,
        );
        this.acknowledged[key]++;
        this.highest[key] = Math.max(this.highest[key], count);
        const now = performance.now();
        this.longestPause = Math.max(this.longestPause, now - this.last);
        this.longestPauseOfKey = Math.max(this.longestPauseOfKey, now - this.lastOfKey[key]);
        this.last = now;
        this.lastOfKey[key] = now;
      } catch (error) {
        const name = `${error.code} ${error.outcome}`;
        this.errors[name] = (this.errors[name] ?? 0) + 1;
        if (error.outcome !== "not applied") this.unknown[key]++;
      }
      if (this.pause > 0) await new Promise((resolve) => setTimeout(resolve, this.pause));
    }
  }

  async stop() {
    this.running = false;
    await Promise.all(this.clients);
    return this.report();
  }

  report() {
    const { attempted, acknowledged, unknown, highest, errors } = this;
    const { longestPause, longestPauseOfKey } = this;
    return { attempted, acknowledged, unknown, highest, errors, longestPause, longestPauseOfKey };
  }

  /** Forgets the pauses so far. */
  resetPauses() {
    const now = performance.now();
    this.longestPause = 0;
    this.longestPauseOfKey = 0;
    this.last = now;
    this.lastOfKey.fill(now);
  }
}

let load;

/** What the program itself can be asked. */
const own = {
  activate: async (zone) => {
    await node.fleet.activate(zone);
    await node.kv.init();
    return node.fleet.nodeName();
  },
  open: async (keyspace, policy) => {
    await node.kv.openKeyspace(keyspace, counterModule, null, policy);
  },
  addCounter: (name, replicas) =>
    node.fleet.addConsensusGroup(name, replicas, { module: counterValue }),
  bindCounter: (name) => node.fleet.bindGroupModule(name, counterValue),
  load: (settings) => {
    load = new Load(settings);
  },
  progress: () => load.report(),
  resetPauses: () => load.resetPauses(),
  stopLoad: () => load.stop(),
  counts: (keyspace, keys) =>
    Promise.all(
      Array.from({ length: keys }, async (_, key) => {
        return (await node.kv.query(keyspace, `key-${key}`, "get")) ?? 0;
      }),
    ),
  close: () => node.close(),
  groups: () => groupsOf(node),
  ...overloadCalls(node),
  /** What the engine and JavaScript say of their memory. */
  memory: () => ({
    ...node.fleet.lifecycle.core().engine.statistics(),
    ...process.memoryUsage(),
  }),
};

const counterValue = {
  init: () => 0,
  command: (count, by) => [count + by, count + by],
  query: (count) => count,
};

serve(node, own);
console.log("started");
