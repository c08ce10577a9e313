/**
 * Count, size and checksum of a set of entries, kept up to date by adding and removing: so the
 * certificate of a hand-over and its check cost nothing at the moment when callers wait.
 *
 * The checksum covers key and version of each entry and does not depend on their order.
 */
import { scramble } from "../machine/checksum.ts";
import type { ShardEntry } from "./entry.ts";

/** A tally as plain data. */
export interface TallyImage {
  readonly count: number;
  readonly size: number;
  readonly low: number;
  readonly high: number;
}

/** A running tally, see the head of this file. */
export class Tally {
  count: number;
  size: number;
  /** Two independent sums of 32 bits. */
  low: number;
  high: number;

  constructor(image: TallyImage = { count: 0, size: 0, low: 0, high: 0 }) {
    this.count = image.count;
    this.size = image.size;
    this.low = image.low;
    this.high = image.high;
  }

  /** Adds an entry as it is now. */
  add(entry: ShardEntry): void {
    this.count++;
    this.size += entry.size;
    this.low = (this.low + mixLow(entry)) | 0;
    this.high = (this.high + mixHigh(entry)) | 0;
  }

  /** Takes an entry out that has not changed since it was added. */
  remove(entry: ShardEntry): void {
    this.count--;
    this.size = this.count === 0 ? 0 : this.size - entry.size;
    this.low = (this.low - mixLow(entry)) | 0;
    this.high = (this.high - mixHigh(entry)) | 0;
  }

  /** A copy as plain data. */
  image(): TallyImage {
    return { count: this.count, size: this.size, low: this.low, high: this.high };
  }
}

function mixLow(entry: ShardEntry): number {
  const { hash, fingerprint, version } = entry;
  return scramble(scramble(hash ^ 0x2545f491) ^ scramble(fingerprint) ^ scrambleVersion(version));
}

function mixHigh(entry: ShardEntry): number {
  const { hash, fingerprint, version } = entry;
  const key = scramble(Math.imul(fingerprint, 0x9e3779b1) + hash);
  return scramble(Math.imul(scrambleVersion(version), 0x85ebca77) + key);
}

function scrambleVersion(version: number): number {
  const upper = (version / 2 ** 32) | 0;
  return scramble((version | 0) ^ Math.imul(upper, 0x27d4eb2f) ^ 0x165667b1);
}
