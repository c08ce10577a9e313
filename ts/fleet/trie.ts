/**
 * A map from whole numbers below 2^31 to values that is never changed in place.
 *
 * A version with another value shares with the one before all but the path to that value, so that
 * making it, and finding what differs between two versions, costs what changed and not what is
 * held. Values are in the order of their numbers.
 */

const BITS_PER_LEVEL = 5;
const WIDTH = 1 << BITS_PER_LEVEL;
const MASK = WIDTH - 1;

/** A branch holds branches, one at the lowest level values; `undefined` stands for nothing. */
type Branch = readonly unknown[];

/** A value in two versions; `undefined` where a version has none. */
export type Difference<V> = readonly [before: V | undefined, after: V | undefined];

/** See the head of this file. */
export class Trie<V> {
  private readonly root: Branch | undefined;
  /** How far a number is shifted to find its place in the root. */
  private readonly shift: number;

  private constructor(root: Branch | undefined, shift: number) {
    this.root = root;
    this.shift = shift;
  }

  /** Holds nothing. */
  static empty<V>(): Trie<V> {
    return new Trie<V>(undefined, 0);
  }

  /** The value of a number, if it has one. */
  get(at: number): V | undefined {
    if (at >= WIDTH * 2 ** this.shift) return undefined;
    let branch = this.root;
    for (let shift = this.shift; shift > 0 && branch !== undefined; shift -= BITS_PER_LEVEL) {
      branch = branch[(at >>> shift) & MASK] as Branch | undefined;
    }
    return branch?.[at & MASK] as V | undefined;
  }

  /** The map with this value for a number, or without one when it is `undefined`. */
  with(at: number, value: V | undefined): Trie<V> {
    let { root, shift } = this;
    while (at >= WIDTH * 2 ** shift) {
      root = raised(root);
      shift += BITS_PER_LEVEL;
    }
    return new Trie<V>(replaced(root, shift, at, value), shift);
  }

  /** All values. */
  values(): V[] {
    const found: V[] = [];
    collect(this.root, this.shift, found);
    return found;
  }

  /** The numbers' values that are not the same object in this version and in `before`. */
  changesSince(before: Trie<V>): Difference<V>[] {
    const shift = Math.max(this.shift, before.shift);
    const found: Difference<V>[] = [];
    compare(before.rootAt(shift), this.rootAt(shift), shift, found);
    return found;
  }

  private rootAt(shift: number): Branch | undefined {
    let root = this.root;
    for (let at = this.shift; at < shift; at += BITS_PER_LEVEL) root = raised(root);
    return root;
  }
}

function raised(root: Branch | undefined): Branch | undefined {
  if (root === undefined) return undefined;
  const above = new Array<unknown>(WIDTH).fill(undefined);
  above[0] = root;
  return above;
}

function replaced(
  branch: Branch | undefined,
  shift: number,
  at: number,
  value: unknown,
): Branch | undefined {
  const slot = (at >>> shift) & MASK;
  const below = branch?.[slot] as Branch | undefined;
  const next = shift === 0 ? value : replaced(below, shift - BITS_PER_LEVEL, at, value);
  const copy = branch === undefined ? new Array<unknown>(WIDTH).fill(undefined) : branch.slice();
  copy[slot] = next;
  return next === undefined && copy.every((one) => one === undefined) ? undefined : copy;
}

function collect<V>(branch: Branch | undefined, shift: number, found: V[]): void {
  for (const one of branch ?? []) {
    if (one === undefined) continue;
    if (shift === 0) found.push(one as V);
    else collect(one as Branch, shift - BITS_PER_LEVEL, found);
  }
}

function compare<V>(
  before: Branch | undefined,
  after: Branch | undefined,
  shift: number,
  found: Difference<V>[],
): void {
  if (before === after) return;
  for (let slot = 0; slot < WIDTH; slot++) {
    const [old, next] = [before?.[slot], after?.[slot]];
    if (old === next) continue;
    if (shift === 0) found.push([old as V | undefined, next as V | undefined]);
    else compare(old as Branch, next as Branch, shift - BITS_PER_LEVEL, found);
  }
}
