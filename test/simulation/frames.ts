/** Frames as the engine reads and writes them: records of a submission, batches, entries, events. */
import { BATCH, ENTRY, EVENT_TYPE, RECORD, ROUTE_GROUP } from "../../ts/native/frames.ts";
import { event, long } from "../host/support.ts";

/** One record of a submission. */
export interface SubmittedRecord {
  readonly bytes: Uint8Array;
  readonly request: number;
  /** A keyspace's number, or `group` is set. */
  readonly keyspace: number;
  readonly group: number | null;
  readonly key: Uint8Array;
}

/** The records that a client handed over, as copies. */
export function recordsOf(bytes: Uint8Array, length: number, acknowledged: number) {
  const copy = bytes.slice(0, length);
  const view = new DataView(copy.buffer);
  const records: SubmittedRecord[] = [];
  for (let at = 0; at < length; at += view.getUint32(at, true)) {
    const word = (index: number) => view.getUint32(at + index * 4, true);
    const route = word(RECORD.route);
    const isGroup = (route & ROUTE_GROUP) !== 0;
    const start = at + RECORD.headerBytes;
    records.push({
      bytes: copy.subarray(at, at + word(RECORD.length)),
      request: acknowledged + word(RECORD.request),
      keyspace: route,
      group: isGroup ? (route & ~ROUTE_GROUP) >>> 0 : null,
      key: copy.subarray(start, start + (word(RECORD.key) & 0xff_ffff)),
    });
  }
  return records;
}

/** Writes where a record's key belongs. */
export function setHash({ bytes }: SubmittedRecord, hash: number, fingerprint: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(RECORD.hash * 4, hash, true);
  view.setUint32(RECORD.fingerprint * 4, fingerprint, true);
}

/** A batch of one session. */
export function batchOf(
  session: { readonly node: number; readonly incarnation: number },
  number: number,
  acknowledged: number,
  records: readonly SubmittedRecord[],
): Uint8Array {
  const length = records.reduce((sum, { bytes }) => sum + bytes.length, Number(BATCH.headerBytes));
  const batch = new Uint8Array(length);
  const words = new Int32Array(batch.buffer, 0, BATCH.headerBytes / 4);
  words[BATCH.length] = length;
  words.set(long(session.node), BATCH.node);
  words[BATCH.incarnation] = session.incarnation;
  words.set(long(number), BATCH.number);
  words.set(long(acknowledged), BATCH.acknowledged);
  words[BATCH.records] = records.length;
  let at = BATCH.headerBytes;
  for (const { bytes } of records) {
    batch.set(bytes, at);
    at += bytes.length;
  }
  return batch;
}

/** The payload of an entry that gathers batches, without the leader's stamp. */
export function entryOf(batches: readonly Uint8Array[]): Uint8Array {
  const length = batches.reduce((sum, batch) => sum + batch.length, Number(ENTRY.headerBytes));
  const entry = new Uint8Array(length);
  const words = new Int32Array(entry.buffer, 0, ENTRY.headerBytes / 4);
  words[ENTRY.version] = 1;
  words[ENTRY.batches] = batches.length;
  let at = ENTRY.headerBytes;
  for (const batch of batches) {
    entry.set(batch, at);
    at += batch.length;
  }
  return entry;
}

/** The entry as a leader puts it into its log. */
export function stamped(entry: Uint8Array, now: number, seed: number): Uint8Array {
  const copy = entry.slice();
  const view = new DataView(copy.buffer);
  view.setFloat64(ENTRY.now * 4, now, true);
  view.setUint32(ENTRY.seed * 4, Math.floor(seed * 2 ** 32), true);
  return copy;
}

/** Events that tests of hosts do not make. */
export const made = {
  entry: (group: number, index: number, term: number, entry: Uint8Array) =>
    event(EVENT_TYPE.entry, group, [...long(index), ...long(term)], entry),
  leader: (group: number, node: number, term: number) =>
    event(EVENT_TYPE.leaderChanged, group, [...long(node), ...long(term)]),
  leaderReady: (group: number, term: number) => event(EVENT_TYPE.leaderReady, group, long(term)),
  beginSnapshot: (group: number, number: number) =>
    event(EVENT_TYPE.beginSnapshot, group, long(number)),
  installSnapshot: (group: number) => event(EVENT_TYPE.installSnapshot, group, []),
  snapshotChunk: (group: number, piece: Uint8Array) =>
    event(EVENT_TYPE.snapshotChunk, group, [piece.length], piece),
  snapshotInstalled: (group: number) => event(EVENT_TYPE.snapshotInstalled, group, []),
  memberWanted: (group: number, descriptor: Uint8Array) =>
    event(EVENT_TYPE.memberWanted, group, [descriptor.length], descriptor),
  memberRemoved: (group: number) => event(EVENT_TYPE.memberRemoved, group, []),
  peerChanged: (node: number, state: number, incarnation: number) =>
    event(EVENT_TYPE.peerChanged, 0, [...long(node), state, incarnation]),
  call: (ticket: number, from: Caller, isMember: boolean, body: Uint8Array) =>
    event(
      EVENT_TYPE.call,
      0,
      [...long(ticket), ...long(from.node), from.incarnation, isMember ? 1 : 0, body.length],
      body,
    ),
  refused: (group: number, reason: number, requests: readonly number[], unknown: boolean) =>
    event(EVENT_TYPE.commandsRefused, group, [
      ...[reason, requests.length, 0, 0],
      ...requests.flatMap(long),
      ...requests.map(() => (unknown ? 1 : 0)),
    ]),
};

interface Caller {
  readonly node: number;
  readonly incarnation: number;
}
