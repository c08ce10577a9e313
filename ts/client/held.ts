/**
 * Keys whose commands wait: while one command of this node on a key waits to be sent again, later
 * ones on the key wait behind it, in order.
 */
export class Held {
  private readonly waiting = new Map<string, number[]>();

  /** Does nothing wait? */
  get empty(): boolean {
    return this.waiting.size === 0;
  }

  /** Does the key wait? */
  has(key: string): boolean {
    return this.waiting.has(key);
  }

  /** The request that makes a key wait, if one does. */
  first(key: string): number | undefined {
    return this.waiting.get(key)?.[0];
  }

  /** Puts a request in front of those that make a key wait. */
  precede(key: string, request: number): void {
    this.waiting.get(key)?.unshift(request);
  }

  /** Makes a key wait that did not, with this request as the first of those that do. */
  hold(key: string, request: number): void {
    this.waiting.set(key, [request]);
  }

  /** Puts a request behind those that wait on its key; false when none does. */
  join(key: string, request: number): boolean {
    const requests = this.waiting.get(key);
    requests?.push(request);
    return requests !== undefined;
  }

  /** Takes the requests below `limit` out, in the order of their numbers; the key waits on. */
  takeBelow(key: string, limit: number): number[] {
    const requests = this.waiting.get(key) ?? [];
    if (requests.length === 0) return [];
    this.waiting.set(
      key,
      requests.filter((request) => request >= limit),
    );
    return requests.filter((request) => request < limit).sort((a, b) => a - b);
  }

  /** Lets the key go; the requests that waited, in the order of their numbers. */
  release(key: string): number[] {
    const requests = this.waiting.get(key) ?? [];
    this.waiting.delete(key);
    return requests.sort((a, b) => a - b);
  }
}
