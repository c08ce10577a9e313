/**
 * One key of a shard, and the index that finds it by key.
 *
 * All shards of a keyspace on one node share one `KeyIndex`, so that a query finds its entry without
 * a hash. While a range moves, sender and receiver can both hold an entry of a key on the same
 * node; such entries form a chain (`other`). Which of them counts is decided by the range that
 * each shard owns, so a hand-over changes no entry and costs nothing: that keeps its pause short.
 *
 * Invariant: the index holds exactly the entries of tables that have a value, frozen and buffered
 * ones too, and those dropped a moment ago; `findEntry` gives only what its shard owns.
 */
import type { KeyIdentity } from "../codec/index.ts";
import type { ShardMachine } from "./machine.ts";

export type { KeyIdentity };

/** A key with its value. An entry without a value is a tombstone; only transfers know such. */
export class ShardEntry {
  /** The key as the user gave it. */
  readonly key: unknown;
  readonly identity: KeyIdentity;
  /** 27 bits that decide which shard owns the key. */
  readonly hash: number;
  /** 32 further bits of the key's hash, as a signed integer. */
  readonly fingerprint: number;
  /** The shard that holds this entry. */
  readonly shard: ShardMachine;
  /** The live value; `undefined` for a tombstone. */
  value: unknown;
  /** Size of the value in the user's unit. */
  size: number;
  /** The shard's change count when this entry last changed. */
  version: number;
  /** Number of the latest view that has this entry, or that it must not be in. */
  epoch: number;
  /** The next entry of the same key, in another shard of this node. */
  other: ShardEntry | null = null;

  constructor(
    shard: ShardMachine,
    key: unknown,
    identity: KeyIdentity,
    hash: number,
    fingerprint: number,
    epoch: number,
  ) {
    this.key = key;
    this.identity = identity;
    this.hash = hash;
    this.fingerprint = fingerprint;
    this.shard = shard;
    this.value = undefined;
    this.size = 0;
    this.version = 0;
    this.epoch = epoch;
  }
}

/** Finds the entry of a key in whatever shard of a keyspace on this node. */
export type KeyIndex = Map<KeyIdentity, ShardEntry>;

/** The entry of a key in the shard of this node that owns the key, if it has a value. */
export function findEntry(index: KeyIndex, identity: KeyIdentity): ShardEntry | undefined {
  const first = index.get(identity);
  if (first === undefined || first.shard.owns(first.hash)) return first;
  for (let entry = first.other; entry !== null; entry = entry.other) {
    if (entry.shard.owns(entry.hash)) return entry;
  }
  return undefined;
}

/** Makes an entry findable. */
export function link(index: KeyIndex, entry: ShardEntry): void {
  const first = index.get(entry.identity);
  if (first === undefined) {
    index.set(entry.identity, entry);
  } else {
    entry.other = first.other;
    first.other = entry;
  }
}

/** Undoes `link`; nothing happens when the entry is not linked. */
export function unlink(index: KeyIndex, entry: ShardEntry): void {
  const first = index.get(entry.identity);
  if (first === entry) {
    if (entry.other === null) index.delete(entry.identity);
    else index.set(entry.identity, entry.other);
  } else {
    let at = first;
    while (at !== undefined && at.other !== entry) at = at.other ?? undefined;
    if (at !== undefined) at.other = entry.other;
  }
  entry.other = null;
}
