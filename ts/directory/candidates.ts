/**
 * Which shards should be split or merged, derived from the policies and the latest statistics.
 *
 * Nothing of it is stored: a replaced policy or a finished workflow changes the candidates at once.
 */
import { CANDIDATES_OF_A_KIND } from "../limits.ts";
import { loadRatio } from "../policy.ts";
import type { DirectoryState, KeyspaceEntry, ShardEntry } from "./state.ts";
import { isPublished } from "./workflow.ts";

/** A shard that holds or serves more than its policy wants. */
export interface SplitCandidate {
  readonly kind: "split";
  readonly keyspace: KeyspaceEntry;
  readonly shard: ShardEntry;
  readonly ratio: number;
  /** From when on it may be split, milliseconds since 1970. */
  readonly eligibleAt: number;
}

/** Two neighbours that are small enough to be one. */
export interface MergeCandidate {
  readonly kind: "merge";
  readonly keyspace: KeyspaceEntry;
  /** The lower one, which receives. */
  readonly receiver: ShardEntry;
  readonly sender: ShardEntry;
  readonly ratio: number;
  readonly eligibleAt: number;
}

/** Split candidates, highest ratio first; those that are not eligible yet are among them. */
export function splitCandidates(state: DirectoryState, ineligiblePeriod: number): SplitCandidate[] {
  const found: SplitCandidate[] = [];
  for (const keyspace of state.keyspaces.values()) {
    if (pendingShards(state, keyspace) >= keyspace.policy.maxShards) continue;
    for (const shard of keyspace.shards) {
      const { statistics } = shard;
      if (shard.lock !== null || statistics === null || shard.end - shard.start < 2) continue;
      const ratio = loadRatio(keyspace.policy, statistics);
      if (!(ratio > 1) || statistics.keys < 2) continue;
      const eligibleAt = isExact(keyspace, shard)
        ? shard.changedAt
        : shard.changedAt + ineligiblePeriod;
      found.push({ kind: "split", keyspace, shard, ratio, eligibleAt });
    }
  }
  return found.sort((a, b) => b.ratio - a.ratio);
}

/** Merge candidates, lowest ratio first; those that are not eligible yet are among them. */
export function mergeCandidates(state: DirectoryState, ineligiblePeriod: number): MergeCandidate[] {
  const found: MergeCandidate[] = [];
  for (const keyspace of state.keyspaces.values()) {
    const { policy, shards } = keyspace;
    if (!hasThreshold(keyspace) || remainingShards(state, keyspace) <= policy.minShards) continue;
    for (let at = 1; at < shards.length; at++) {
      const receiver = shards[at - 1];
      const sender = shards[at];
      if (!receiver?.statistics || !sender?.statistics) continue;
      if (receiver.lock !== null || sender.lock !== null) continue;
      const ratio = loadRatio(policy, {
        keys: receiver.statistics.keys + sender.statistics.keys,
        size: receiver.statistics.size + sender.statistics.size,
        load: receiver.statistics.load + sender.statistics.load,
      });
      if (!(ratio < policy.mergeThresholdRatio)) continue;
      const eligibleAt = Math.max(receiver.changedAt, sender.changedAt) + ineligiblePeriod;
      found.push({ kind: "merge", keyspace, receiver, sender, ratio, eligibleAt });
    }
  }
  return found.sort((a, b) => a.ratio - b.ratio);
}

/**
 * The first few candidates that may be acted on now. One that would have to wait longer than the
 * period was changed by a node whose clock is ahead; it waits no longer.
 */
export function eligible<C extends { readonly eligibleAt: number }>(
  candidates: readonly C[],
  now: number,
  ineligiblePeriod: number,
): C[] {
  return candidates
    .filter(({ eligibleAt }) => eligibleAt <= now || eligibleAt > now + ineligiblePeriod)
    .slice(0, CANDIDATES_OF_A_KIND);
}

/**
 * Whether a shard came of a split and is above its policy's thresholds by what is known exactly of
 * it: waiting would change nothing, as its load, which has to be measured anew, does not count. What
 * is above one threshold is not below half of it, so such a split is not followed by a merge.
 */
function isExact({ policy }: KeyspaceEntry, { changedBy, statistics }: ShardEntry): boolean {
  if (changedBy !== "split" || statistics === null) return false;
  return loadRatio(policy, { ...statistics, load: 0 }) > 1;
}

function hasThreshold({ policy }: KeyspaceEntry): boolean {
  const { maxKeysPerShard, maxSizePerShard, maxLoadPerShard } = policy;
  return [maxKeysPerShard, maxSizePerShard, maxLoadPerShard].some((limit) => limit != null);
}

/** How many shards the keyspace has when every running split has succeeded. */
export function pendingShards(state: DirectoryState, keyspace: KeyspaceEntry): number {
  return keyspace.shards.length + unpublished(state, keyspace, "split");
}

/** How many shards the keyspace has when every running merge has succeeded. */
export function remainingShards(state: DirectoryState, keyspace: KeyspaceEntry): number {
  return keyspace.shards.length - unpublished(state, keyspace, "merge");
}

function unpublished(state: DirectoryState, { name }: KeyspaceEntry, kind: "split" | "merge") {
  let count = 0;
  for (const workflow of state.workflows.values()) {
    if (workflow.kind !== kind || workflow.keyspace !== name) continue;
    if (!isPublished(workflow) && workflow.step !== "abort") count++;
  }
  return count;
}
