/** Hosts with events made by hand: what the engine would give, and what it was given. */

import { type Key, writeKey } from "../../ts/codec/key.ts";
import { encodeValue } from "../../ts/codec/value.ts";
import { Writer } from "../../ts/codec/writer.ts";
import { Host, type HostListener } from "../../ts/host/host.ts";
import type { Result } from "../../ts/machine/machine.ts";
import type { NativeEngine } from "../../ts/native/engine.ts";
import {
  BATCH,
  ENTRY,
  EVENT,
  EVENT_TYPE,
  FLAG_HOST,
  FLAG_RETRY,
  RECORD,
} from "../../ts/native/frames.ts";

export interface SentCommand {
  readonly request: number;
  readonly argument: unknown;
  readonly retry?: boolean;
  /** It is for the replicas' hosts. */
  readonly forHosts?: boolean;
  /** Absent for a command to the group as a whole. */
  readonly key?: Key;
  readonly hash?: number;
  readonly fingerprint?: number;
}

export interface SentBatch {
  readonly node: number;
  readonly incarnation: number;
  readonly number: number;
  readonly acknowledged: number;
  readonly commands: readonly SentCommand[];
}

/** Words of a 64-bit number. */
export function long(value: number): [number, number] {
  return [value | 0, Math.floor(value / 2 ** 32)];
}

/** An event: words behind the header, then bytes. */
export function event(
  type: number,
  group: number,
  words: number[],
  bytes: Uint8Array = new Uint8Array(0),
) {
  const length = (EVENT.rest + words.length) * 4 + ((bytes.length + 3) & ~3);
  const buffer = Buffer.from(new ArrayBuffer(length));
  const into = new Int32Array(buffer.buffer);
  into.set([length, type, group, ...words.map((word) => word | 0)]);
  buffer.set(bytes, (EVENT.rest + words.length) * 4);
  return buffer;
}

function record(command: SentCommand, acknowledged: number): Uint8Array {
  const argument = encodeValue(command.argument);
  const writer = new Writer();
  if (command.key !== undefined) writeKey(writer, command.key);
  const length = (RECORD.headerBytes + writer.length + argument.length + 3) & ~3;
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer);
  words[RECORD.length] = length;
  words[RECORD.request] = command.request - acknowledged;
  words[RECORD.hash] = command.hash ?? 0;
  words[RECORD.fingerprint] = command.fingerprint ?? 0;
  words[RECORD.key] =
    writer.length | (command.retry ? FLAG_RETRY : 0) | (command.forHosts ? FLAG_HOST : 0);
  bytes.set(writer.bytes.subarray(0, writer.length), RECORD.headerBytes);
  bytes.set(argument, RECORD.headerBytes + writer.length);
  return bytes;
}

function batchBytes(batch: SentBatch): Uint8Array {
  const records = Buffer.concat(batch.commands.map((it) => record(it, batch.acknowledged)));
  const bytes = new Uint8Array(BATCH.headerBytes + records.length);
  const words = new Int32Array(bytes.buffer, 0, BATCH.headerBytes / 4);
  words[BATCH.length] = bytes.length;
  words.set(long(batch.node), BATCH.node);
  words[BATCH.incarnation] = batch.incarnation;
  words.set(long(batch.number), BATCH.number);
  words.set(long(batch.acknowledged), BATCH.acknowledged);
  words[BATCH.records] = batch.commands.length;
  bytes.set(records, BATCH.headerBytes);
  return bytes;
}

/** The payload of an entry with these batches. */
export function entryOf(batches: readonly SentBatch[]): Uint8Array {
  const body = Buffer.concat(batches.map(batchBytes));
  const bytes = new Uint8Array(ENTRY.headerBytes + body.length);
  const words = new Int32Array(bytes.buffer, 0, ENTRY.headerBytes / 4);
  words[ENTRY.version] = 1;
  words[ENTRY.batches] = batches.length;
  bytes.set(body, ENTRY.headerBytes);
  return bytes;
}

/** The events of a host at work. */
export const events = {
  entry: (group: number, index: number, entry: Uint8Array) =>
    event(EVENT_TYPE.entry, group, [...long(index), ...long(1)], entry),
  leader: (group: number, node: number, term = 1) =>
    event(EVENT_TYPE.leaderChanged, group, [...long(node), ...long(term)]),
  leaderReady: (group: number, term = 1) => event(EVENT_TYPE.leaderReady, group, long(term)),
  beginSnapshot: (group: number, number: number) =>
    event(EVENT_TYPE.beginSnapshot, group, long(number)),
  resultsWanted: (group: number, ticket: number, entry: Uint8Array) =>
    event(EVENT_TYPE.resultsWanted, group, [...long(ticket), entry.length, 0], entry),
  results: (group: number, bytes: Uint8Array) =>
    event(EVENT_TYPE.results, group, [bytes.length], bytes),
  passedBy: (group: number, index: number) => event(EVENT_TYPE.passedBy, group, long(index)),
  readReady: (group: number, number: number) => event(EVENT_TYPE.readReady, group, long(number)),
};

/** Stands where the engine is: notes what a host gives it. */
export class Seam {
  readonly given: { ticket: number; results: Uint8Array }[] = [];
  readonly ready: number[] = [];
  readonly snapshotsFailed: number[] = [];
  readonly readsAsked: { group: number; number: number; fail: (error: Error) => void }[] = [];
  readonly slots = new Int32Array(8);

  get engine(): NativeEngine {
    const engine = {
      leases: () => this.slots.buffer,
      hostReady: (_group: number, term: number) => void this.ready.push(term),
      snapshotPiece: () => true,
      finishSnapshot: () => undefined,
      failSnapshot: (_group: number, number: number) => void this.snapshotsFailed.push(number),
      giveResults: (ticket: number, results: Uint8Array) => {
        this.given.push({ ticket, results });
        return true;
      },
      readIndex: (group: number, number: number) =>
        new Promise<void>((_resolve, fail) => this.readsAsked.push({ group, number, fail })),
    };
    return engine as unknown as NativeEngine;
  }
}

/** A host over a seam, with what it told its listener. */
export function hostOf(node: number, incarnation = 1, listener: Partial<HostListener> = {}) {
  const seam = new Seam();
  const settled: [number, Result][] = [];
  const failures: unknown[] = [];
  const logged: string[] = [];
  const host = new Host(seam.engine, { node, incarnation }, performance.now(), {
    settled: (request, result) => settled.push([request, result]),
    refused: () => undefined,
    leaderChanged: () => undefined,
    replicaFailed: (_replica, error) => failures.push(error),
    storageFailed: () => undefined,
    logged: (_level, message) => logged.push(message),
    ...listener,
  });
  return { host, seam, settled, failures, logged };
}
