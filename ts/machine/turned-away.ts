/**
 * The requests of one session that a group turned away, which ask their sender to come again, by
 * the hash of their key: what was called after them on the same key must not overtake them.
 *
 * It holds what is in flight and no more: a request leaves when it has been applied, here or where
 * its key had moved to, or when its sender has settled it.
 */
export class TurnedAway {
  /** How many there are. */
  size = 0;
  private readonly byHash = new Map<number, number[]>();

  /** Notes a request; whether it was not known yet. */
  add(hash: number, request: number): boolean {
    const requests = this.byHash.get(hash);
    if (requests === undefined) this.byHash.set(hash, [request]);
    else if (requests.includes(request)) return false;
    else requests.push(request);
    this.size++;
    return true;
  }

  /** A request has been applied; whether it was known. */
  delete(hash: number, request: number): boolean {
    const requests = this.byHash.get(hash);
    const at = requests?.indexOf(request) ?? -1;
    if (requests === undefined || at < 0) return false;
    requests.splice(at, 1);
    if (requests.length === 0) this.byHash.delete(hash);
    this.size--;
    return true;
  }

  /** Forgets the requests below `acknowledged`, which are settled; how many that were. */
  forget(acknowledged: number): number {
    const before = this.size;
    for (const [hash, requests] of this.byHash) {
      const left = requests.filter((request) => request >= acknowledged);
      if (left.length === requests.length) continue;
      this.size -= requests.length - left.length;
      if (left.length === 0) this.byHash.delete(hash);
      else this.byHash.set(hash, left);
    }
    return before - this.size;
  }

  /** Is an earlier request on this hash, not settled below `acknowledged`, to come again? */
  isBefore(hash: number, request: number, acknowledged: number): boolean {
    const requests = this.byHash.get(hash);
    return requests?.some((earlier) => earlier < request && earlier >= acknowledged) === true;
  }

  /** Calls `visit` for each request, in an order that is the same on every replica. */
  each(visit: (hash: number, request: number) => void): void {
    for (const [hash, requests] of this.byHash) {
      for (const request of requests) visit(hash, request);
    }
  }
}
