/**
 * Every argument of every public function, given values of every kind: those that it does not take
 * are refused with its typed error, by a rejected promise, and the node goes on unharmed.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  configure,
  createNode,
  type ErrorCode,
  type Keyspace,
  type RaftKVNode,
} from "../../../ts/index.ts";
import { expectCode } from "../support/errors.ts";
import { counterModule, mapModule, registerModule } from "../support/modules.ts";
import { nothingUnhandled } from "../support/unhandled.ts";
import { collect } from "../support/waiting.ts";
import { wrongValues } from "../support/wrong-values.ts";

/** Names of the wrong values that an argument takes after all. */
type Takes = readonly string[] | "all but uncloneable";

interface Argument {
  readonly good: unknown;
  readonly codes: readonly ErrorCode[];
  readonly takes?: Takes;
}

interface Case {
  readonly call: (...args: never[]) => unknown;
  readonly args: readonly Argument[];
}

/** Values that the structured clone algorithm refuses. */
const UNCLONEABLE = [
  "symbol",
  "function",
  "async function",
  "class",
  "promise",
  "weak map",
  "throwing getter",
  "throwing toString",
  "throwing proxy",
  "revoked proxy",
];
/** Values that throw when they are looked at: what they stand for cannot be told. */
const UNREADABLE = ["throwing proxy", "revoked proxy"];
const UNSET = ["undefined", "null"];
/** Objects that have no property of their own: for options they say nothing. */
const SAY_NOTHING = ["undefined", "empty object", "object without prototype", "date", "map"];
const OPTION_LIKE = [...SAY_NOTHING, "error", "promise", "weak map"];

const GROUP = "register";
const policy = { maxShards: 4, maxKeysPerShard: 1_000 };
const name: Argument = { good: "nobody", codes: ["INVALID_KEYSPACE_NAME"] };
const zone: Argument = { good: "zone", codes: ["INVALID_ZONE"], takes: ["text", "lone surrogate"] };
const key: Argument = {
  good: "key",
  codes: ["INVALID_KEY"],
  takes: [
    ...["true", "0", "-1", "1.5", "Infinity", "2 ** 60", "bigint", "empty text", "text"],
    ...["text with a zero", "lone surrogate", "array", "bytes"],
  ],
};
const value: Argument = { good: "get", codes: ["DATA_CLONE"], takes: "all but uncloneable" };
const options: Argument = { good: {}, codes: ["INVALID_OPTION"], takes: OPTION_LIKE };
const groupName: Argument = {
  good: GROUP,
  codes: ["INVALID_ARGUMENT", "NOT_FOUND"],
};
const keyspaceName: Argument = {
  good: "kv",
  codes: ["INVALID_KEYSPACE_NAME", "NO_SUCH_KEYSPACE"],
};
const shardName: Argument = {
  good: "kv_0",
  codes: ["INVALID_ARGUMENT", "NO_SUCH_SHARD"],
};
const module: Argument = { good: mapModule, codes: ["INVALID_MODULE"] };
const hook: Argument = { good: null, codes: ["INVALID_MODULE"], takes: UNSET };
const policyArgument: Argument = { good: policy, codes: ["INVALID_POLICY"] };
const raftOptions: Argument = {
  good: undefined,
  codes: ["INVALID_OPTION", "INVALID_ARGUMENT"],
  takes: OPTION_LIKE,
};

function takes(argument: Argument, kind: string): boolean {
  if (argument.takes === undefined) return false;
  if (argument.takes === "all but uncloneable") return !UNCLONEABLE.includes(kind);
  return argument.takes.includes(kind);
}

let node: RaftKVNode;
let keyspace: Keyspace<unknown, unknown, unknown, unknown, unknown>;
let other: typeof keyspace;
const method =
  (part: "kv" | "fleet", called: string) =>
  (...args: never[]) =>
    (node[part] as unknown as Record<string, (...args: never[]) => unknown>)[called]?.(...args);
const ofKeyspace =
  (called: "command" | "query" | "commandOnAllKeys") =>
  (...args: never[]) => {
    const used = called === "commandOnAllKeys" ? other : keyspace;
    return (used[called] as (...args: never[]) => unknown).apply(used, args);
  };

async function activateNew(...args: never[]): Promise<void> {
  const fresh = createNode({ dataDir: ":memory:" });
  try {
    await (fresh.fleet.activate as (...args: never[]) => Promise<void>)(...args);
  } finally {
    await fresh.close();
  }
}

const command: Argument = { ...value, good: { set: 1 } };
const cases: Record<string, Case> = {
  "RaftFleet.activate": { call: activateNew, args: [zone, options] },
  "RaftFleet.addConsensusGroup": {
    call: method("fleet", "addConsensusGroup"),
    args: [
      { good: GROUP, codes: ["INVALID_ARGUMENT"], takes: ["text"] },
      { good: 1, codes: ["INVALID_ARGUMENT"] },
      { good: { module: registerModule }, codes: ["INVALID_ARGUMENT", "INVALID_MODULE"] },
    ],
  },
  "RaftFleet.removeConsensusGroup": {
    call: method("fleet", "removeConsensusGroup"),
    args: [{ ...groupName, good: "nobody" }],
  },
  "RaftFleet.command": {
    call: method("fleet", "command"),
    args: [groupName, { ...value, good: { write: 1 } }, options],
  },
  "RaftFleet.query": { call: method("fleet", "query"), args: [groupName, value, options] },
  "RaftFleet.queryNonLeader": {
    call: method("fleet", "queryNonLeader"),
    args: [groupName, value, options],
  },
  "RaftFleet.whereisLeader": { call: method("fleet", "whereisLeader"), args: [groupName] },
  "RaftFleet.bindGroupModule": {
    call: method("fleet", "bindGroupModule"),
    args: [
      { good: GROUP, codes: ["INVALID_ARGUMENT"], takes: ["text"] },
      { good: registerModule, codes: ["INVALID_MODULE"] },
      { good: undefined, codes: ["INVALID_MODULE"], takes: UNSET },
    ],
  },
  "RaftKV.registerKeyspace": {
    call: method("kv", "registerKeyspace"),
    args: [name, module, hook, policyArgument, raftOptions],
  },
  "RaftKV.openKeyspace": {
    call: method("kv", "openKeyspace"),
    args: [{ ...name, good: "kv" }, module, hook, policyArgument, raftOptions],
  },
  "RaftKV.bindKeyspace": {
    call: method("kv", "bindKeyspace"),
    args: [{ ...name, good: "kv" }, module, hook],
  },
  "RaftKV.deregisterKeyspace": {
    call: method("kv", "deregisterKeyspace"),
    args: [{ ...keyspaceName, good: "nobody" }],
  },
  "RaftKV.getKeyspacePolicy": {
    call: method("kv", "getKeyspacePolicy"),
    args: [{ ...keyspaceName, codes: ["INVALID_KEYSPACE_NAME"] }],
  },
  "RaftKV.setKeyspacePolicy": {
    call: method("kv", "setKeyspacePolicy"),
    args: [keyspaceName, policyArgument],
  },
  "RaftKV.command": { call: method("kv", "command"), args: [keyspaceName, key, command, options] },
  "RaftKV.query": { call: method("kv", "query"), args: [keyspaceName, key, value, options] },
  "RaftKV.reduceKeyspaceShardNames": {
    call: method("kv", "reduceKeyspaceShardNames"),
    args: [
      keyspaceName,
      { good: 0, codes: [], takes: [...wrongValues().keys()] },
      {
        good: () => 0,
        codes: ["INVALID_ARGUMENT"],
        takes: ["function", "async function"],
      },
    ],
  },
  "RaftKV.listKeysInShard": { call: method("kv", "listKeysInShard"), args: [shardName] },
  "RaftKV.commandOnAllKeysInShard": {
    call: method("kv", "commandOnAllKeysInShard"),
    args: [{ ...shardName, good: "other_0" }, command, options],
  },
  "RaftKV.keys": {
    call: async (...args: never[]) => collect(node.kv.keys(...(args as unknown as [string]))),
    args: [keyspaceName],
  },
  "RaftKV.shards": { call: method("kv", "shards"), args: [keyspaceName] },
  "Keyspace.command": { call: ofKeyspace("command"), args: [key, command, options] },
  "Keyspace.query": { call: ofKeyspace("query"), args: [key, value, options] },
  "Keyspace.commandOnAllKeys": { call: ofKeyspace("commandOnAllKeys"), args: [command, options] },
};

describe("wrong arguments", () => {
  nothingUnhandled();

  beforeAll(async () => {
    node = createNode({ dataDir: ":memory:" });
    await node.fleet.activate("zone");
    await node.kv.init();
    keyspace = await node.kv.registerKeyspace("kv", mapModule as never, null, policy);
    other = await node.kv.registerKeyspace("other", mapModule as never, null, policy);
    await node.fleet.addConsensusGroup(GROUP, 1, { module: registerModule });
    await node.kv.command("kv", "kept key", { set: "kept" });
  });
  afterAll(async () => {
    expect(await node.kv.query("kv", "kept key", "get")).toBe("kept");
    await node.close();
  });

  for (const [called, { call, args }] of Object.entries(cases)) {
    for (const [position, argument] of args.entries()) {
      it(`${called}: argument ${position + 1}`, async () => {
        for (const [kind, wrong] of wrongValues()) {
          if (takes(argument, kind)) continue;
          const given = args.map(({ good }) => good);
          given[position] = wrong;
          const named = `${kind} as argument ${position + 1} of ${called}`;
          const error = await expectCode(
            () => call(...(given as never[])),
            ...argument.codes,
          ).catch((cause: unknown) => {
            throw new Error(named, { cause });
          });
          expect(error.message.length, named).toBeLessThan(2_000);
          expect(error.outcome, named).toBe("not applied");
        }
      });
    }
  }

  it("takes what it takes: no argument above is refused for a value that is right", async () => {
    for (const [called, { call, args }] of Object.entries(cases)) {
      if (/activate|addConsensusGroup|remove|registerKeyspace|deregister/.test(called)) continue;
      await call(...(args.map(({ good }) => good) as never[]));
    }
    for (const kind of ["command", "query"] as const) {
      for (const [what, wrong] of wrongValues()) {
        if (!takes(key, what)) continue;
        await node.kv[kind]("kv", wrong as never, kind === "command" ? "unset" : "get");
      }
    }
  });

  it("configure: argument 1", async () => {
    for (const [kind, wrong] of wrongValues()) {
      if (takes(options, kind)) continue;
      await expectCode(() => configure(wrong as never), "INVALID_OPTION");
    }
  });

  it("createNode: argument 1 is judged when the node is activated", async () => {
    for (const [kind, wrong] of wrongValues()) {
      if (takes(options, kind)) continue;
      const activate = async () => {
        const fresh = createNode(wrong as never);
        try {
          await fresh.fleet.activate("zone", { dataDir: ":memory:" });
        } finally {
          await fresh.close();
        }
      };
      await expectCode(activate, "INVALID_OPTION").catch((cause: unknown) => {
        throw new Error(kind, { cause });
      });
    }
  });
});

describe("wrong fields", () => {
  nothingUnhandled();
  const { kind: times, ...rest } = {
    kind: [
      ...["heartbeatInterval", "electionTimeout", "statsCollectionInterval"],
      ...["workflowExecutionInterval", "workflowLockPeriod", "balancingInterval"],
      ...["shardIneligiblePeriodAfterSplitOrMerge", "nodePurgeFailureTimeWindow"],
    ],
    dataDir: ["text", "long text", "lone surrogate"],
    listen: [],
    advertise: [],
    seeds: ["array"],
    clusterName: ["text", "text with a zero", "lone surrogate"],
    durability: [],
    logger: [],
  } as const;
  const optionFields: [string, readonly string[]][] = [
    ...Object.entries(rest),
    ...times.map((field): [string, readonly string[]] => [field, []]),
  ];

  for (const [field, taken] of optionFields) {
    it(`node option ${field}`, async () => {
      for (const [kind, wrong] of wrongValues()) {
        if (kind === "undefined" || taken.includes(kind)) continue;
        const given = { dataDir: ":memory:", [field]: wrong } as never;
        const fresh = createNode({});
        const error = await expectCode(() => fresh.fleet.activate("zone", given), "INVALID_OPTION")
          .catch((cause: unknown) => {
            throw new Error(`${kind} as ${field}`, { cause });
          })
          .finally(() => fresh.close());
        if (!UNREADABLE.includes(kind)) expect(error.message).toContain(field);
      }
    });
  }

  const callFields: Record<string, readonly string[]> = {
    timeout: ["1.5"],
    retry: ["0"],
    retryInterval: ["0", "1.5"],
    shardLockRetry: ["0"],
    shardLockRetryInterval: ["0", "1.5"],
    signal: [],
    consistency: [],
  };
  for (const [field, taken] of Object.entries(callFields)) {
    it(`call option ${field}`, async () => {
      for (const [kind, wrong] of wrongValues()) {
        if (kind === "undefined" || taken.includes(kind)) continue;
        for (const called of ["command", "query"] as const) {
          const given = { [field]: wrong } as never;
          const error = await expectCode(
            () => activeNode().kv[called]("kv", "key", "unset", given),
            "INVALID_OPTION",
          );
          if (!UNREADABLE.includes(kind)) expect(error.message).toContain(field);
        }
      }
    });
  }

  const amount = ["0", "1.5", "2 ** 60"];
  const policyFields: Record<string, readonly string[]> = {
    maxShards: [],
    minShards: [],
    maxKeysPerShard: ["null"],
    maxSizePerShard: ["null", "1.5", "2 ** 60"],
    maxLoadPerShard: ["null", "1.5", "2 ** 60"],
    loadPerQueryToMissingKey: ["null", ...amount],
    mergeThresholdRatio: ["null", "0"],
  };
  for (const [field, taken] of Object.entries(policyFields)) {
    it(`policy field ${field}`, async () => {
      for (const [kind, wrong] of wrongValues()) {
        if (taken.includes(kind)) continue;
        if (kind === "undefined" && field !== "maxShards") continue;
        const given = { maxShards: 4, [field]: wrong } as never;
        const { kv } = activeNode();
        await expectCode(() => kv.setKeyspacePolicy("kv", given), "INVALID_POLICY").catch(
          (cause: unknown) => {
            throw new Error(`${kind} as ${field}`, { cause });
          },
        );
        await expectCode(
          () => kv.registerKeyspace("nobody", counterModule, null, given),
          "INVALID_POLICY",
        );
      }
    });
  }

  it("names that are not known", async () => {
    const { kv } = activeNode();
    await expectCode(() => kv.setKeyspacePolicy("kv", { maxShard: 3 } as never), "INVALID_POLICY");
    const misspelt = await expectCode(
      () => kv.query("kv", "key", "get", { timout: 3 } as never),
      "INVALID_OPTION",
    );
    expect(misspelt.message).toContain("timeout");
    const fresh = createNode({ datadir: "x" } as never);
    await expectCode(() => fresh.fleet.activate("zone"), "INVALID_OPTION");
  });

  let shared: RaftKVNode;
  function activeNode(): RaftKVNode {
    return shared;
  }
  beforeAll(async () => {
    shared = createNode({ dataDir: ":memory:" });
    await shared.fleet.activate("zone");
    await shared.kv.init();
    await shared.kv.registerKeyspace("kv", mapModule, null, policy);
  });
  afterAll(async () => {
    expect(await shared.kv.listKeyspaces()).toEqual(["kv"]);
    await shared.close();
  });
});
