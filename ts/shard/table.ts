/**
 * The entries of a shard in hash order: a trie over the 27 bits of the hash, four bits a level,
 * whose leaves are short sorted arrays.
 *
 * It grows and shrinks leaf by leaf, so no insert ever moves the whole table, reads go in hash
 * order from any hash, and a range is cut out in time that does not depend on how many it holds.
 * Order is total (hash, fingerprint, identity) and so the same on every replica.
 */
import type { KeyIdentity, ShardEntry } from "./entry.ts";
import { RecentEntries } from "./recent.ts";

const BITS_PER_LEVEL = 4;
const FANOUT = 1 << BITS_PER_LEVEL;
const TOP_SHIFT = 23;
/** Entries that a leaf holds before it becomes a branch; at the lowest level it just grows. */
const LEAF_ENTRIES_MAX = 12;
/** A branch with no more entries than this becomes a leaf again. */
const BRANCH_ENTRIES_MIN = 6;

class Branch {
  readonly children: (Node | null)[] = new Array<Node | null>(FANOUT).fill(null);
  count = 0;
}

type Leaf = ShardEntry[];
type Node = Branch | Leaf;

/** Called for each entry in order; `false` ends the walk. */
export type Visit = (entry: ShardEntry) => boolean;

/** The table, see the head of this file. */
export class HashTable {
  /** Some of the entries; none that is not in the table. */
  private readonly recent = new RecentEntries();
  private root: Node | null = null;

  /** How many entries it holds. */
  get count(): number {
    return countOf(this.root);
  }

  /** The entry of a key, or `undefined`. */
  find(hash: number, fingerprint: number, identity: KeyIdentity): ShardEntry | undefined {
    let node = this.root;
    let shift = TOP_SHIFT;
    // Faster than `instanceof`, which walks a leaf's prototypes.
    while (node !== null && !Array.isArray(node)) {
      node = node.children[(hash >>> shift) & (FANOUT - 1)] as Node | null;
      shift -= BITS_PER_LEVEL;
    }
    if (node === null) return undefined;
    for (let at = 0; at < node.length; at++) {
      const entry = node[at] as ShardEntry;
      if (entry.hash === hash && entry.fingerprint === fingerprint && entry.identity === identity) {
        return entry;
      }
    }
    return undefined;
  }

  /** An entry with these hashes that commands were about lately. */
  findRecent(hash: number, fingerprint: number): ShardEntry | undefined {
    return this.recent.find(hash, fingerprint);
  }

  /** Lets an entry that is in the table be found by `findRecent`, for a while. */
  remember(entry: ShardEntry): void {
    this.recent.add(entry, this.count);
  }

  /** Adds an entry whose key is not in the table. */
  insert(entry: ShardEntry): void {
    this.root = insertInto(this.root, entry, TOP_SHIFT);
  }

  /** Removes an entry that is in the table. */
  remove(entry: ShardEntry): void {
    this.recent.delete(entry);
    this.root = removeFrom(this.root, entry, TOP_SHIFT);
  }

  /** Visits entries with a hash in [start, end), in order. The table must not change meanwhile. */
  walk(start: number, end: number, visit: Visit): boolean {
    return walkNode(this.root, 0, TOP_SHIFT + BITS_PER_LEVEL, start, end, visit);
  }

  /** Entries with a hash in [start, end), in order. */
  within(start: number, end: number): ShardEntry[] {
    const found: ShardEntry[] = [];
    this.walk(start, end, (entry) => {
      found.push(entry);
      return true;
    });
    return found;
  }

  /** Cuts the entries with a hash in [start, end) out into a table of their own. */
  cut(start: number, end: number): HashTable {
    const cut = new HashTable();
    const parts = cutNode(this.root, 0, TOP_SHIFT + BITS_PER_LEVEL, start, end);
    this.recent.clear();
    this.root = parts.kept;
    cut.root = parts.cut;
    return cut;
  }

  /** Forgets everything. */
  clear(): void {
    this.recent.clear();
    this.root = null;
  }
}

function countOf(node: Node | null): number {
  if (node === null) return 0;
  return node instanceof Branch ? node.count : node.length;
}

/** Below zero when `a` comes first; ties beyond 59 bits of hash are broken by the key itself. */
export function compareEntries(a: ShardEntry, b: ShardEntry): number {
  if (a.hash !== b.hash) return a.hash - b.hash;
  if (a.fingerprint !== b.fingerprint) return a.fingerprint - b.fingerprint;
  const [left, right] = [a.identity, b.identity];
  if (typeof left !== typeof right) return typeof left < typeof right ? -1 : 1;
  return left < right ? -1 : left > right ? 1 : 0;
}

function insertInto(node: Node | null, entry: ShardEntry, shift: number): Node {
  if (node === null) return [entry];
  if (node instanceof Branch) {
    const slot = (entry.hash >>> shift) & (FANOUT - 1);
    const child = node.children[slot] as Node | null;
    node.children[slot] = insertInto(child, entry, shift - BITS_PER_LEVEL);
    node.count++;
    return node;
  }
  if (node.length >= LEAF_ENTRIES_MAX && shift >= 0) {
    const branch = new Branch();
    for (const present of node) insertInto(branch, present, shift);
    return insertInto(branch, entry, shift);
  }
  let at = node.length;
  node.push(entry);
  while (at > 0 && compareEntries(node[at - 1] as ShardEntry, entry) > 0) {
    node[at] = node[at - 1] as ShardEntry;
    at--;
  }
  node[at] = entry;
  return node;
}

function removeFrom(node: Node | null, entry: ShardEntry, shift: number): Node | null {
  if (node === null) return null;
  if (node instanceof Branch) {
    const slot = (entry.hash >>> shift) & (FANOUT - 1);
    const child = node.children[slot] as Node | null;
    const before = countOf(child);
    const after = removeFrom(child, entry, shift - BITS_PER_LEVEL);
    node.children[slot] = after;
    node.count -= before - countOf(after);
    return node.count <= BRANCH_ENTRIES_MIN ? gather(node) : node;
  }
  const at = node.indexOf(entry);
  if (at >= 0) node.splice(at, 1);
  return node.length === 0 ? null : node;
}

/** All entries of a branch as one leaf, `null` when there are none. */
function gather(branch: Branch): Node | null {
  if (branch.count === 0) return null;
  const leaf: Leaf = [];
  for (const child of branch.children) {
    if (child === null) continue;
    const entries = child instanceof Branch ? gather(child) : child;
    if (entries !== null) leaf.push(...(entries as Leaf));
  }
  return leaf;
}

/** `width` is the number of hash bits below this node, `base` the lowest hash that can be in it. */
function walkNode(
  node: Node | null,
  base: number,
  width: number,
  start: number,
  end: number,
  visit: Visit,
): boolean {
  if (node === null || base >= end || base + 2 ** width <= start) return true;
  if (node instanceof Branch) {
    const below = width - BITS_PER_LEVEL;
    for (let slot = 0; slot < FANOUT; slot++) {
      const child = node.children[slot] as Node | null;
      if (child === null) continue;
      if (!walkNode(child, base + slot * 2 ** below, below, start, end, visit)) return false;
    }
    return true;
  }
  for (let at = 0; at < node.length; at++) {
    const entry = node[at] as ShardEntry;
    if (entry.hash >= start && entry.hash < end && !visit(entry)) return false;
  }
  return true;
}

interface Parts {
  kept: Node | null;
  cut: Node | null;
}

function cutNode(
  node: Node | null,
  base: number,
  width: number,
  start: number,
  end: number,
): Parts {
  const limit = base + 2 ** width;
  if (node === null || base >= end || limit <= start) return { kept: node, cut: null };
  if (base >= start && limit <= end) return { kept: null, cut: node };
  if (!(node instanceof Branch)) {
    const cut = node.filter(({ hash }) => hash >= start && hash < end);
    const kept = node.filter(({ hash }) => hash < start || hash >= end);
    return { kept: kept.length === 0 ? null : kept, cut: cut.length === 0 ? null : cut };
  }
  const below = width - BITS_PER_LEVEL;
  const other = new Branch();
  for (let slot = 0; slot < FANOUT; slot++) {
    const child = node.children[slot] as Node | null;
    const parts = cutNode(child, base + slot * 2 ** below, below, start, end);
    node.children[slot] = parts.kept;
    other.children[slot] = parts.cut;
    other.count += countOf(parts.cut);
  }
  node.count -= other.count;
  return { kept: node.count === 0 ? null : node, cut: other.count === 0 ? null : other };
}
