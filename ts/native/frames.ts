/**
 * The layout of what crosses between TypeScript and Rust, in 32-bit words; ARCHITECTURE.md has the
 * tables. `crates/engine/src/frames.rs` holds the same numbers; a test compares bytes of both.
 */

/** Words of a command record's header. */
export const RECORD = {
  length: 0,
  route: 1,
  request: 2,
  hash: 3,
  fingerprint: 4,
  key: 5,
  headerBytes: 24,
} as const;

/** Bit 31 of a record's route: the low 31 bits are a group, not a keyspace. */
export const ROUTE_GROUP = 0x8000_0000;
/** Low bits of a record's key word: the length of the key in bytes. */
export const KEY_LENGTH_MASK = 0x00ff_ffff;
/** Flag in a record's key word: this command was sent before. */
export const FLAG_RETRY = 1 << 24;
/** Flag in a record's key word: this command is for the replicas' hosts and not for their machine. */
export const FLAG_HOST = 1 << 25;

/** Words of an entry's header. */
export const ENTRY = { version: 0, batches: 1, now: 2, seed: 4, headerBytes: 24 } as const;
/** Words of a batch's header. */
export const BATCH = {
  length: 0,
  node: 1,
  incarnation: 3,
  number: 4,
  acknowledged: 6,
  records: 8,
  headerBytes: 36,
} as const;

/** Words that every event starts with; the rest begins at word 3. */
export const EVENT = { length: 0, type: 1, group: 2, rest: 3 } as const;

/** Types of events. */
export const EVENT_TYPE = {
  entry: 1,
  leaderChanged: 2,
  leaderReady: 3,
  beginSnapshot: 4,
  installSnapshot: 5,
  snapshotChunk: 6,
  snapshotInstalled: 7,
  commandsRefused: 8,
  storageFailed: 9,
  logLine: 10,
  snapshotMayContinue: 11,
  readReady: 12,
  memberWanted: 13,
  memberRemoved: 14,
  resultsWanted: 15,
  results: 16,
  call: 17,
  peerChanged: 18,
  streamRefused: 19,
  passedBy: 20,
} as const;

/** States of the event "peer changed". */
export const PEER_STATE = { up: 1, down: 2, restarted: 3 } as const;

/** Reasons of the event "stream refused". */
export const STREAM_REFUSAL = {
  otherName: 1,
  otherCluster: 2,
  otherProcess: 3,
  protocol: 4,
  tls: 5,
  other: 6,
} as const;

/** A lease slot's value for "no time limit". */
export const LEASE_FOREVER = 0x7fff_ffff;
/** Length of a lease tick in milliseconds. */
export const LEASE_TICK_MS = 32;
