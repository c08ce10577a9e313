/**
 * User code that does what it must not: whatever it throws or returns, its caller gets a typed
 * error with the fault, the value stays as it was, and nobody else notices.
 */
import { expect, it } from "vitest";
import type { RaftKVError } from "../../../ts/index.ts";
import { failure } from "../support/errors.ts";
import { openNode, scratchDirectory } from "../support/nodes.ts";
import { nothingUnhandled } from "../support/unhandled.ts";

nothingUnhandled();

const frozen = Object.freeze({ some: "object" });
const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new Error("even looking at it throws");
    },
  },
);
const withGetter = Object.defineProperty({}, "getter", {
  get: throws(new Error()),
  enumerable: true,
});
const revocable = Proxy.revocable({}, {});
revocable.revoke();

function throws(value: unknown): () => never {
  return () => {
    throw value;
  };
}

const fn = () => 1;
const deep = (inner: unknown) => ({ a: [{ b: new Map([["c", inner]]) }] });

/** What a callback may do wrong, whether it is a command or a query. */
const thrown: Record<string, () => unknown> = {
  "throws an Error": throws(new Error("the fault")),
  "throws a string": throws("the fault"),
  "throws undefined": throws(undefined),
  "throws null": throws(null),
  "throws a symbol": throws(Symbol("the fault")),
  "throws a frozen object": throws(frozen),
  "throws what cannot be looked at": throws(throwing),
  "throws a revoked proxy": throws(revocable.proxy),
  "throws a function": throws(fn),
  "throws a rejected promise": () => {
    throw Promise.reject(new Error("thrown promise"));
  },
  "overflows the stack": function overflow(): unknown {
    return [overflow()];
  },
  "returns a promise": async () => ["ok", 1, "next", 1],
  "returns a rejecting promise": async () => {
    throw new Error("rejected");
  },
  "returns a thenable": () => Object.fromEntries(["then"].map((name) => [name, fn])),
  "returns undefined": () => undefined,
  "returns null": () => null,
  "returns a number": () => 4,
  "returns a text of four": () => "four",
  "returns an object like a tuple": () => ({ 0: "ok", 1: 1, 2: "next", 3: 1, length: 4 }),
  "returns an empty tuple": () => [],
  "returns too many": () => ["ok", 1, "next", 1, "more"],
  "returns a revoked proxy": () => revocable.proxy,
  "returns a tuple that throws": () => new Proxy(["ok", 1, "next", 1], throwingHandler()),
};

function throwingHandler(): ProxyHandler<unknown[]> {
  return {
    get: () => {
      throw new Error("the tuple refuses");
    },
  };
}

/** Amounts that no load or size can be. */
const amounts: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  text: "5",
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  negative: -1,
  bigint: 1n,
  object: {},
  "rejecting promise": "rejecting",
};

/** Values that can be neither results nor stored. */
const uncloneable: Record<string, () => unknown> = {
  "a function": () => fn,
  "a symbol": () => Symbol("s"),
  "a function within": () => deep(fn),
  "a symbol within": () => deep(Symbol("s")),
  "a promise": () => Promise.resolve(1),
  "a rejecting promise": () => Promise.reject(new Error("as a value")),
  "a rejecting promise within": () => deep(Promise.resolve(1)),
  "a weak map": () => new WeakMap(),
  "a revoked proxy": () => revocable.proxy,
  "what cannot be looked at": () => withGetter,
};

const amount = (value: unknown) =>
  value === "rejecting" ? Promise.reject(new Error("as an amount")) : value;

const commands: Record<string, () => unknown> = {
  ...thrown,
  "returns too few": () => ["ok", 1, "next"],
  ...Object.fromEntries(
    Object.entries(amounts).flatMap(([name, value]) => [
      [`load is ${name}`, () => ["ok", amount(value), "next", 1]],
      [`nextSize is ${name}`, () => ["ok", 1, "next", amount(value)]],
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(uncloneable).flatMap(([name, value]) => [
      [`ret is ${name}`, () => [value(), 1, "next", 1]],
      [`next is ${name}`, () => ["ok", 1, value(), 1]],
    ]),
  ),
};

const queries: Record<string, () => unknown> = {
  ...thrown,
  "returns too few": () => ["ok"],
  "returns a command's tuple": () => ["ok", 1, "next", 1],
  ...Object.fromEntries(
    Object.entries(amounts).map(([name, value]) => [
      `load is ${name}`,
      () => ["ok", amount(value)],
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(uncloneable).map(([name, value]) => [`ret is ${name}`, () => [value(), 1]]),
  ),
};

/** A keyspace whose commands and queries do what their argument names. */
const module = {
  command: (_previous: unknown, _size: number, _key: unknown, arg: string) =>
    (arg in commands ? commands[arg]?.() : ["ok", 1, arg, 1]) as never,
  query: (value: unknown, _size: number, _key: unknown, arg: string) =>
    (arg in queries ? queries[arg]?.() : [value, 1]) as never,
};

function checkMessage(error: RaftKVError, name: string): void {
  expect(error.message, name).not.toBe("");
  if (name === "throws an Error" || name === "throws a string") {
    expect(error.message).toContain("the fault");
  }
}

it("answers COMMAND_FAILED for every kind of faulty command, and changes nothing", async () => {
  const node = await openNode();
  const keyspace = await node.kv.registerKeyspace("bad", module, null, { maxShards: 1 });
  await keyspace.command("k", "kept");
  for (const name of Object.keys(commands)) {
    const error = await failure(() => keyspace.command("k", name)).catch((cause: unknown) => {
      throw new Error(name, { cause });
    });
    expect(error.code, name).toBe("COMMAND_FAILED");
    expect(error.action, name).toBe("fix");
    expect(error.outcome, name).toBe("not applied");
    expect(error.keyspace, name).toBe("bad");
    checkMessage(error, name);
    expect(await keyspace.query("k", "read"), name).toBe("kept");
    expect((await failure(() => keyspace.command("new key", name))).code).toBe("COMMAND_FAILED");
    expect(await keyspace.query("new key", "read"), name).toBeUndefined();
    await keyspace.commandOnAllKeys(name);
    expect(await keyspace.query("k", "read"), name).toBe("kept");
  }
  expect(await node.kv.listKeysInShard("bad_0")).toEqual(["k"]);
});

it("answers QUERY_FAILED for every kind of faulty query", async () => {
  const node = await openNode();
  const keyspace = await node.kv.registerKeyspace("bad", module, null, { maxShards: 1 });
  await keyspace.command("k", "kept");
  for (const name of Object.keys(queries)) {
    for (const consistency of ["linearizable", "stale"] as const) {
      const error = await failure(() => keyspace.query("k", name, { consistency })).catch(
        (cause: unknown) => {
          throw new Error(name, { cause });
        },
      );
      expect(error.code, name).toBe("QUERY_FAILED");
      expect(error.action, name).toBe("fix");
      checkMessage(error, name);
    }
    expect(await keyspace.query("k", "read"), name).toBe("kept");
  }
});

it("comes back with the same state after a restart that replays the failed commands", async () => {
  const dataDir = scratchDirectory();
  const before = await openNode({ dataDir });
  const policy = { maxShards: 1 };
  const keyspace = await before.kv.openKeyspace("bad", module, null, policy);
  await keyspace.command("k", "kept");
  const calls = Object.keys(commands).map((name) => failure(() => keyspace.command("k", name)));
  for (const { code } of await Promise.all(calls)) expect(code).toBe("COMMAND_FAILED");
  await before.close();
  const after = await openNode({ dataDir });
  const reopened = await after.kv.openKeyspace("bad", module, null, policy);
  expect(await reopened.query("k", "read")).toBe("kept");
});

it("treats the code of consensus groups the same way", async () => {
  const node = await openNode();
  const pairs: Record<string, () => unknown> = {
    ...Object.fromEntries(Object.entries(thrown).filter(([name]) => !name.includes("returns"))),
    "returns a promise": async () => ["ok", "next"],
    "returns undefined": () => undefined,
    "returns too few": () => ["ok"],
    "returns too many": () => ["ok", "next", "more"],
    ...Object.fromEntries(
      Object.entries(uncloneable).flatMap(([name, value]) => [
        [`ret is ${name}`, () => [value(), "next"]],
        [`state is ${name}`, () => ["ok", value()]],
      ]),
    ),
  };
  const results: Record<string, () => unknown> = {
    ...Object.fromEntries(Object.entries(thrown).filter(([name]) => !name.includes("returns"))),
    ...Object.fromEntries(Object.entries(uncloneable).map(([name, value]) => [name, value])),
  };
  const faulty = {
    init: () => "kept" as unknown,
    command: (_state: unknown, arg: string) => pairs[arg]?.() as [unknown, unknown],
    query: (state: unknown, arg: string) => (arg in results ? results[arg]?.() : state),
  };
  await node.fleet.addConsensusGroup("faulty", 1, { module: faulty });
  for (const name of Object.keys(pairs)) {
    const error = await failure(() => node.fleet.command("faulty", name)).catch((cause) => {
      throw new Error(name, { cause });
    });
    expect(error.code, name).toBe("COMMAND_FAILED");
    expect(error.outcome, name).toBe("not applied");
    expect(error.group, name).toBe("faulty");
    expect(await node.fleet.query("faulty", "read"), name).toBe("kept");
  }
  for (const name of Object.keys(results)) {
    const error = await failure(() => node.fleet.query("faulty", name)).catch((cause) => {
      throw new Error(name, { cause });
    });
    expect(error.code, name).toBe("QUERY_FAILED");
  }
  expect(await node.fleet.query("faulty", "read")).toBe("kept");
});

it("refuses a consensus group whose first state cannot be made", async () => {
  const node = await openNode();
  const inits: Record<string, () => unknown> = {
    throws: throws(new Error("no first state")),
    promise: async () => 1,
    rejecting: async () => {
      throw new Error("no first state");
    },
    function: () => fn,
  };
  for (const [name, init] of Object.entries(inits)) {
    const module = { init, command: () => [1, 1] as [number, unknown], query: () => 1 };
    const error = await failure(() => node.fleet.addConsensusGroup(name, 1, { module }));
    expect(error.code, name).toBe("INVALID_MODULE");
    expect(await node.fleet.consensusGroups(), name).toEqual({});
  }
});
