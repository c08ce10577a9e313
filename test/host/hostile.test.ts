/**
 * Bytes that other nodes sent, of any content: entries whose layout the engine has checked, calls,
 * results, pieces of snapshots. Hosts answer or refuse; they never throw, and replicas stay equal.
 */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { answerReads, READ_CALL } from "../../ts/client/read-calls.ts";
import { type CallEngine, HostCalls } from "../../ts/cluster/calls.ts";
import { decodeValue, encodeValue } from "../../ts/codec/value.ts";
import { settleResults } from "../../ts/host/foreign-results.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { EVENT_TYPE } from "../../ts/native/frames.ts";
import { ShardMachine } from "../../ts/shard/machine.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import { digestOf } from "../shard/harness.ts";
import { event, events, hostOf, long } from "./support.ts";

const SHARD = 9;
const DATA = 10;
const HASH_END = 2 ** 27;
const counter: ValuePerKey = {
  command: (previous) => [((previous as number | undefined) ?? 0) + 1, 1, 1, 8],
  query: (value) => [value, 1],
};

/** A host with a shard and a data module, both led here. */
function host() {
  const made = hostOf(1);
  const shards: ShardMachine[] = [];
  const range = { start: 0, end: HASH_END };
  made.host.attach(SHARD, "shard", (retained) => {
    const options = { keyspace: "kv", group: SHARD, module: counter, index: new Map() };
    const shard = new ShardMachine({ ...options, range, retained });
    shards.push(shard);
    return shard;
  });
  const data = { init: () => 0, command: (n: number) => [n + 1, n + 1] as [number, number] };
  made.host.attach(DATA, "data", () => new DataMachine({ ...data, query: (n: number) => n }));
  for (const group of [SHARD, DATA]) {
    made.host.receive(events.leader(group, 1), false);
    made.host.receive(events.leaderReady(group), false);
  }
  return { ...made, shard: shards[0] as ShardMachine };
}

const word = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer());
const someBytes = fc.uint8Array({ maxLength: 60 });
/** Bytes that begin like a value does more often than by chance. */
const valueBytes = fc.oneof(
  someBytes,
  fc.tuple(fc.anything(), fc.nat(), fc.nat({ max: 255 })).map(([value, at, byte]) => {
    const bytes = encodable(value);
    bytes[at % bytes.length] = byte;
    return bytes;
  }),
);

function encodable(value: unknown): Uint8Array {
  try {
    return encodeValue(value);
  } catch {
    return encodeValue(null);
  }
}

/** A record whose layout holds: its key is within it. */
const record = fc
  .record({
    request: word,
    hash: word,
    fingerprint: word,
    key: valueBytes,
    flags: fc.nat({ max: 3 }),
  })
  .chain((parts) => fc.tuple(fc.constant(parts), valueBytes))
  .map(([{ request, hash, fingerprint, key, flags }, argument]) => {
    const length = (24 + key.length + argument.length + 3) & ~3;
    const bytes = new Uint8Array(length);
    const words = new Int32Array(bytes.buffer);
    words.set([length, 0, request, hash, fingerprint, key.length | (flags << 24)]);
    bytes.set(key, 24);
    bytes.set(argument, 24 + key.length);
    return bytes;
  });

const batch = fc
  .record({ node: fc.nat({ max: 5 }), incarnation: word, number: fc.nat(), acknowledged: fc.nat() })
  .chain((parts) => fc.tuple(fc.constant(parts), fc.array(record, { maxLength: 4 })))
  .map(([{ node, incarnation, number, acknowledged }, records]) => {
    const body = Buffer.concat(records);
    const bytes = new Uint8Array(36 + body.length);
    const words = new Int32Array(bytes.buffer, 0, 9);
    words.set([bytes.length, ...long(node), incarnation, ...long(number), ...long(acknowledged)]);
    words[8] = records.length;
    bytes.set(body, 36);
    return bytes;
  });

const entry = fc
  .tuple(fc.array(batch, { maxLength: 3 }), fc.array(word, { minLength: 4, maxLength: 4 }))
  .map(([batches, stamp]) => {
    const body = Buffer.concat(batches);
    const bytes = new Uint8Array(24 + body.length);
    new Int32Array(bytes.buffer, 0, 6).set([1, batches.length, ...stamp]);
    bytes.set(body, 24);
    return bytes;
  });

describe("entries whose layout holds", () => {
  property.prop([fc.array(entry, { maxLength: 4 })])(
    "are applied on every replica alike, whatever keys and arguments they hold",
    (entries) => {
      const replicas = [host(), host()];
      for (const { host, failures } of replicas) {
        for (const [at, bytes] of entries.entries()) {
          for (const group of [SHARD, DATA]) {
            host.receive(events.entry(group, at + 1, bytes), false);
            host.receive(events.resultsWanted(group, at + 1, bytes), false);
          }
        }
        expect(failures).toEqual([]);
        expect(host.replica(SHARD)?.applied).toBe(entries.length);
      }
      const [one, other] = replicas.map(({ shard, seam }) => [digestOf(shard), seam.given.length]);
      expect(one).toEqual(other);
    },
  );
});

describe("pieces of a snapshot", () => {
  const install = (pieces: readonly Uint8Array[]) => {
    const made = host();
    for (const group of [SHARD, DATA]) {
      made.host.receive(event(EVENT_TYPE.installSnapshot, group, []), false);
      for (const piece of pieces) {
        const chunk = event(EVENT_TYPE.snapshotChunk, group, [piece.length], piece);
        made.host.receive(chunk, false);
      }
      made.host.receive(event(EVENT_TYPE.snapshotInstalled, group, []), false);
    }
    return made;
  };

  property.prop([fc.array(valueBytes, { maxLength: 4 })])(
    "of any bytes are installed, or that replica is given up and the others go on",
    (pieces) => {
      const { host: taker, failures } = install(pieces);
      const left = [SHARD, DATA].filter((group) => taker.replica(group) !== undefined);
      expect(left.length + failures.length).toBe(2);
    },
  );

  property.prop([fc.nat(), fc.nat({ max: 255 }), fc.nat()])(
    "that were damaged on their way are found, or harm nothing",
    (at, byte, cut) => {
      const giver = host();
      const preamble = giver.host.replica(SHARD)!.preamble();
      const piece = giver.shard.snapshot().next(1_000)!;
      const damaged = piece.slice();
      damaged[at % piece.length] = byte;
      for (const bytes of [damaged, piece.subarray(0, cut % piece.length)]) {
        expect(install([preamble, bytes]).failures.length).toBeLessThanOrEqual(2);
      }
    },
  );
});

describe("calls of other hosts", () => {
  /** Calls that are answered at once, and the answers. */
  function callee() {
    const answers: unknown[] = [];
    const engine: CallEngine = {
      callNode: () => Promise.reject(new Error("not here")),
      callAddress: () => Promise.reject(new Error("not here")),
      answerCall: (_ticket, body) => answers.push(decodeValue(body)),
    };
    const calls = new HostCalls(engine);
    const made = host();
    calls.handle(READ_CALL, (message) => answerReads(made.host, message));
    return { calls, answers, ...made };
  }

  const messages = fc.oneof(
    someBytes,
    valueBytes,
    fc.record({ type: fc.constant(READ_CALL), reads: fc.anything() }).map(encodable),
    fc
      .record({
        type: fc.constant(READ_CALL),
        reads: fc.array(fc.tuple(fc.constantFrom(SHARD, DATA, 0), fc.nat({ max: 4 }), valueBytes)),
      })
      .map(encodable),
  );

  property.prop([fc.array(messages, { maxLength: 6 })])(
    "are each answered, whatever they say",
    async (bodies) => {
      const { calls, answers, seam } = callee();
      for (const body of bodies) {
        calls.receive({ ticket: 1, node: 2, incarnation: 1, isMember: true, body });
      }
      await new Promise((resolve) => setImmediate(resolve));
      // Without a lease a read asks a quorum first.
      for (const { fail } of seam.readsAsked) fail(new Error("no quorum"));
      await new Promise((resolve) => setImmediate(resolve));
      expect(answers).toHaveLength(bodies.length);
      for (const answer of answers) expect(answer).toHaveProperty("ok");
    },
  );

  property.prop([valueBytes])("have answers that are values or errors", async (body) => {
    const engine = { callNode: async () => Buffer.from(body) } as unknown as CallEngine;
    const answered = new HostCalls(engine).call(2, { type: "any" }, 100);
    await answered.then(
      () => undefined,
      (error: unknown) => expect(error).toBeInstanceOf(Error),
    );
  });
});

property.prop([valueBytes])("results of any bytes settle nothing, or what they say", (bytes) => {
  const settled: number[] = [];
  try {
    settleResults(bytes, { node: 1, incarnation: 1 }, (request) => settled.push(request));
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    expect(settled).toEqual([]);
  }
});

test("a host logs results that cannot be read, and goes on", () => {
  const { host: taker, logged } = host();
  taker.receive(events.results(SHARD, new Uint8Array([0x51, 0x51])), false);
  expect(logged.join()).toContain("cannot be read");
  expect(taker.replica(SHARD)).toBeDefined();
});
