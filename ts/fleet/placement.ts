/**
 * Which nodes hold the replicas of a group: rendezvous hashing, zones in turn.
 *
 * A pure function of the nodes and the group, so that every node computes the same answer. When a
 * node joins or leaves, at most one member of a group changes.
 */
import { SYSTEM_VOTERS_MAX } from "../limits.ts";

/** What placement needs to know of a node. */
export interface PlacementNode {
  readonly id: number;
  readonly zone: string;
}

const LOW_BITS = 2 ** 32;

/** How many members of a system group vote: an odd number where there are three nodes or more. */
export function systemVoters(nodes: number): number {
  if (nodes <= 2) return nodes;
  return Math.min(SYSTEM_VOTERS_MAX, nodes % 2 === 0 ? nodes - 1 : nodes);
}

/** Spreads the bits of a 32-bit word (the finalizer of MurmurHash3). */
function mix(word: number): number {
  let h = word >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The rendezvous weight of a node for a group: 32 bits. */
export function placementWeight(node: number, group: number): number {
  const low = node % LOW_BITS;
  const high = Math.floor(node / LOW_BITS);
  return mix(mix(mix(low) ^ high) ^ Math.imul(group, 0x9e37_79b1));
}

interface Ranked {
  readonly id: number;
  readonly weight: number;
  readonly rank: number;
}

function heavierFirst(a: { weight: number; id: number }, b: { weight: number; id: number }) {
  return b.weight - a.weight || a.id - b.id;
}

/**
 * The ids of `min(replicas, nodes)` nodes, the preferred leader first. Each zone gives its best
 * node before any gives a second one.
 */
export function placeGroup(
  group: number,
  replicas: number,
  nodes: readonly PlacementNode[],
): number[] {
  const zones = new Map<string, { id: number; weight: number }[]>();
  for (const node of nodes) {
    const weighted = { id: node.id, weight: placementWeight(node.id, group) };
    const zone = zones.get(node.zone);
    if (zone) zone.push(weighted);
    else zones.set(node.zone, [weighted]);
  }
  const ranked: Ranked[] = [];
  for (const zone of zones.values()) {
    zone.sort(heavierFirst).forEach((node, rank) => {
      ranked.push({ ...node, rank });
    });
  }
  ranked.sort((a, b) => a.rank - b.rank || heavierFirst(a, b));
  return ranked.slice(0, replicas).map((node) => node.id);
}
