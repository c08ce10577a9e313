/** Calls between hosts: answers, errors and everything that can be wrong with a message. */
import { expect, test } from "vitest";
import { type CallEngine, HostCalls } from "../../ts/cluster/calls.ts";
import { encodeValue } from "../../ts/codec/value.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { CALLS_ANSWERED_AT_ONCE_MAX } from "../../ts/limits.ts";

/** Two hosts, joined where the engine's streams would be. */
function pair(isMember = true) {
  const answers = new Map<number, (body: Uint8Array) => void>();
  let ticket = 0;
  const callNode = (_node: number, body: Uint8Array) =>
    new Promise<Buffer>((resolve) => {
      answers.set(++ticket, (answer) => resolve(Buffer.from(answer)));
      callee.receive({ ticket, node: 1, incarnation: 4, isMember, body });
    });
  const engine: CallEngine = {
    callNode,
    callAddress: async (address, body) => ({
      ...{ node: 2, incarnation: 5, cluster: 0, address },
      body: await callNode(2, body),
    }),
    answerCall: (number, body) => {
      const answer = answers.get(number);
      if (answer === undefined) throw new Error("nobody waits");
      answers.delete(number);
      answer(body);
    },
  };
  const caller = new HostCalls(engine);
  const callee = new HostCalls(engine);
  return { caller, callee, engine };
}

async function failureOf(call: Promise<unknown>): Promise<RaftKVError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RaftKVError);
  return error as RaftKVError;
}

test("a call is answered with a copy of what its handler gives, now or later", async () => {
  const { caller, callee } = pair();
  const state = { list: [1, undefined, new Map([["a", 1n]])] };
  callee.handle("now", (message, from) => ({ message, from, state }));
  callee.handle("later", async () => undefined);
  const answer = await caller.call(2, { type: "now", n: 5 }, 100);
  const from = { node: 1, incarnation: 4, isMember: true };
  expect(answer).toEqual({ message: { type: "now", n: 5 }, from, state });
  expect((answer as { state: unknown }).state).not.toBe(state);
  expect(await caller.call(2, { type: "later" }, 100)).toBeUndefined();
  const { reply, ...who } = await caller.callAddress("there:1", { type: "later" }, 100);
  expect(reply).toBeUndefined();
  expect(who).toEqual({ node: 2, incarnation: 5, cluster: 0, address: "there:1" });
});

test("errors keep their code, outcome and places", async () => {
  const { caller, callee } = pair();
  const details = { outcome: "unknown", keyspace: "kv", group: "kv_0", action: "fix" } as const;
  callee.handle("typed", () => {
    throw new RaftKVError("TIMEOUT", "too slow", details);
  });
  callee.handle("plain", () => Promise.reject(new TypeError("oops")));
  callee.handle("unclonable", () => () => 1);
  const typed = await failureOf(caller.call(2, { type: "typed" }, 100));
  expect(typed).toMatchObject({ code: "TIMEOUT", message: "too slow", ...details });
  const plain = await failureOf(caller.call(2, { type: "plain" }, 100));
  expect(plain).toMatchObject({ code: "INTERNAL", message: "oops" });
  const unclonable = await failureOf(caller.call(2, { type: "unclonable" }, 100));
  expect(unclonable.code).toBe("DATA_CLONE");
  const here = await failureOf(caller.call(2, { type: "plain", what: () => 1 }, 100));
  expect(here.code).toBe("DATA_CLONE");
});

test("what is no message, or of an unknown type, is answered with a clear error", async () => {
  const { caller, callee, engine } = pair();
  const unknown = await failureOf(caller.call(2, { type: "nobody" }, 100));
  expect(unknown.code).toBe("INVALID_ARGUMENT");
  expect(unknown.message).toContain("nobody");
  callee.handle("ok", () => 1);
  for (const body of [new Uint8Array([255, 0]), new Uint8Array(0), encodeValue({ type: 5 })]) {
    const answer = await engine.callNode(2, body, 100);
    expect(answer.includes("INVALID_ARGUMENT")).toBe(true);
  }
  expect(() =>
    callee.receive({ ticket: 99, node: 1, incarnation: 1, isMember: true, body: encodeValue({}) }),
  ).not.toThrow();
});

test("a node without a cluster may make only the calls that are for anyone", async () => {
  const { caller, callee } = pair(false);
  callee.handle("hello", (_message, { isMember }) => isMember, { fromAnyone: true });
  callee.handle("read", () => 1);
  expect(await caller.call(2, { type: "hello" }, 100)).toBe(false);
  expect((await failureOf(caller.call(2, { type: "read" }, 100))).code).toBe("INVALID_ARGUMENT");
});

test("a host answers a bounded number of calls at a time, and none once it is closed", async () => {
  const { caller, callee } = pair();
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  callee.handle("wait", () => held);
  const waiting: Promise<unknown>[] = [];
  for (let n = 0; n < CALLS_ANSWERED_AT_ONCE_MAX; n++) {
    waiting.push(caller.call(2, { type: "wait" }, 100));
  }
  expect((await failureOf(caller.call(2, { type: "wait" }, 100))).code).toBe("OVERLOADED");
  release();
  await Promise.all(waiting);
  expect(await caller.call(2, { type: "wait" }, 100)).toBeUndefined();
  callee.close(new RaftKVError("CLOSED", "closed"));
  expect((await failureOf(caller.call(2, { type: "wait" }, 100))).code).toBe("CLOSED");
  caller.close(new RaftKVError("CLOSED", "closed"));
  expect((await failureOf(caller.call(2, { type: "wait" }, 100))).code).toBe("CLOSED");
});
