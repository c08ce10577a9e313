/** Arguments of any kind for every function of the addon: a typed error or an answer, no crash. */
import { fc, test as property } from "@fast-check/vitest";
import { afterAll, beforeAll, expect } from "vitest";
import { RaftKVError } from "../../ts/errors.ts";
import type { NativeEngine } from "../../ts/native/engine.ts";
import { open, record } from "./support.ts";

const GROUP = 9;
/** Functions that take something from whoever calls; `close` and what holds the process are not. */
const METHODS = [
  ...["createGroup", "openGroup", "createGroupWith", "openUnbound", "bindGroup", "closeGroup"],
  ...[
    "removeGroup",
    "forgetRemoved",
    "groupStatus",
    "addLearner",
    "waitForMember",
    "changeMembers",
  ],
  ...["transferLeader", "readIndex", "setMembersElsewhere", "giveResults", "listen"],
  ...["setCluster", "setNodeAddress", "forgetNode", "callNode", "callAddress", "answerCall"],
  ...["submit", "setRoutes", "removeRoutes", "hashKey", "findGroup", "hostReady"],
  ...["snapshotPiece", "finishSnapshot", "failSnapshot"],
] as const satisfies readonly (keyof NativeEngine)[];

let engine: NativeEngine;
let goesOn: (number: number) => Promise<void>;
const waiting: Promise<unknown>[] = [];
let faults: unknown[] = [];

beforeAll(async () => {
  const opened = await open({ heartbeatInterval: 100, electionTimeout: 600 });
  engine = opened.engine;
  await engine.createGroup(GROUP, new Uint8Array([1]));
  goesOn = async (number) => {
    const records = record(GROUP, 0, new TextEncoder().encode(`mark ${number}`));
    engine.submit(records, records.length, number);
    const marked = () =>
      opened.collector.events.some(({ bytes }) => bytes.includes(`mark ${number}`));
    await opened.collector.until(marked);
  };
});

afterAll(async () => {
  await engine.close();
  await Promise.all(waiting);
  expect(faults).toEqual([]);
});

const number = fc.oneof(
  fc.integer({ min: 0, max: 12 }).filter((value) => value !== GROUP),
  fc.constantFrom(
    Number.NaN,
    -1,
    -0,
    0.5,
    Number.POSITIVE_INFINITY,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    1e300,
  ),
);
const member = fc.record({ node: number, address: fc.oneof(fc.string(), fc.anything()) });
const argument = fc.oneof(
  number,
  fc.uint8Array({ maxLength: 100 }),
  fc.string({ maxLength: 30 }),
  fc.array(fc.oneof(member, number), { maxLength: 3 }),
  member,
  fc.uint8Array({ maxLength: 8 }).map((bytes) => Uint32Array.from(bytes)),
  fc.record({ listen: fc.constantFrom("", "nowhere", "127.0.0.1:99999", "256.1.1.1:1", ":::::") }),
  fc.anything(),
);

/** A TypeError is TypeScript's own, of what cannot be taken apart before it gets to the addon. */
function judge(what: string, error: unknown): void {
  if (!(error instanceof RaftKVError || error instanceof TypeError)) faults.push([what, error]);
}

property.prop(
  [
    fc.array(fc.tuple(fc.constantFrom(...METHODS), fc.array(argument, { maxLength: 4 })), {
      maxLength: 30,
    }),
  ],
  { numRuns: 60 },
)("any arguments are judged, and the group goes on", async (calls) => {
  faults = [];
  for (const [method, args] of calls) {
    const call = engine[method] as (...all: unknown[]) => unknown;
    try {
      const answer = call.apply(engine, args);
      if (!(answer instanceof Promise)) continue;
      waiting.push(answer.catch((error: unknown) => judge(method, error)));
    } catch (error) {
      judge(method, error);
    }
  }
  await goesOn(waiting.length);
  expect(faults).toEqual([]);
});
