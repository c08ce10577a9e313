/**
 * The requests of this node's callers that are not settled, by request number.
 *
 * Nearly all of them live in a ring (number -> resolver) and cost an array slot. One that needs
 * more, because it is sent again or has options of its own, is moved to `slow`. The lowest number
 * in either is what shards get as the acknowledgement.
 */

/** Settles a caller's promise. To reject it, it is resolved with a rejected promise. */
export type Resolve = (value: unknown) => void;

const INITIAL_CAPACITY = 4096;

/** See the head of this file; `S` is what is kept for a slow request. */
export class Requests<S> {
  /** Requests that need more than a slot. */
  readonly slow = new Map<number, S>();
  /** How many requests are in the ring and not settled. */
  fast = 0;
  private nextRequest = 1;
  private tail = 1;
  /** No lower number is unsettled. */
  private lowest = 1;
  private mask = INITIAL_CAPACITY - 1;
  private ring: (Resolve | undefined)[] = new Array(INITIAL_CAPACITY).fill(undefined);

  /** The number that the next request gets. */
  get next(): number {
    return this.nextRequest;
  }

  /** Numbers a request and keeps its resolver. */
  add(resolve: Resolve): void {
    const request = this.number();
    this.ring[request & this.mask] = resolve;
    this.fast++;
  }

  /** Numbers a request that is slow from the start. */
  addSlow(state: S): void {
    this.slow.set(this.number(), state);
  }

  /** Takes the resolver of a request out of the ring, if it is there. */
  take(request: number): Resolve | undefined {
    if (request < this.tail || request >= this.nextRequest) return undefined;
    const at = request & this.mask;
    const resolve = this.ring[at];
    if (resolve === undefined) return undefined;
    this.ring[at] = undefined;
    this.fast--;
    return resolve;
  }

  /** Is a request in the ring, and not settled? */
  has(request: number): boolean {
    if (request < this.tail || request >= this.nextRequest) return false;
    return this.ring[request & this.mask] !== undefined;
  }

  /** The lowest number that may still be in the ring. */
  get ringTail(): number {
    this.advance();
    return this.tail;
  }

  /** The lowest number that is not settled: every lower one is. */
  acknowledged(): number {
    this.advance();
    // What becomes slow later comes out of the ring, at or above its tail: this never goes back.
    while (this.lowest < this.tail && !this.slow.has(this.lowest)) this.lowest++;
    return this.lowest;
  }

  /** Takes every resolver out of the ring. */
  drain(visit: (request: number, resolve: Resolve) => void): void {
    for (let request = this.tail; request < this.nextRequest; request++) {
      const resolve = this.take(request);
      if (resolve !== undefined) visit(request, resolve);
    }
  }

  /** A slow request has a slot too, an empty one: else its number would find another's resolver. */
  private number(): number {
    const request = this.nextRequest++;
    if (request - this.tail > this.mask) this.makeRoom(request);
    return request;
  }

  private advance(): void {
    while (this.tail < this.nextRequest && this.ring[this.tail & this.mask] === undefined) {
      this.tail++;
    }
  }

  private makeRoom(request: number): void {
    this.advance();
    while (request - this.tail > this.mask) {
      const ring = new Array<Resolve | undefined>((this.mask + 1) * 2).fill(undefined);
      const mask = ring.length - 1;
      for (let old = this.tail; old < request; old++) {
        ring[old & mask] = this.ring[old & this.mask];
      }
      this.ring = ring;
      this.mask = mask;
    }
  }
}
