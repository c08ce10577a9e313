/**
 * Call order on one key: those of this node's requests on it that wait, and those under way that
 * they may not overtake. Nearly all keys have no lane. One begins when a request waits to be sent
 * again, or when routes change while one is under way, and ends once nothing of it is left.
 *
 * Invariants:
 * - requests that wait leave in the order of their numbers;
 * - one is sent while an earlier one of its lane is under way only if both are in one frame and go
 *   by the same route: a group keeps the order of a frame, and nothing keeps that of two routes.
 */
import { holdKey, type SlowRequest } from "./slow-request.ts";

interface Lane {
  readonly underWay: Set<SlowRequest>;
  /** In the order of their numbers. Only the first may wait for its time, the rest for their turn. */
  readonly waiting: SlowRequest[];
}

/** See the head of this file. */
export class Lanes {
  private readonly lanes = new Map<string, Lane>();

  /** Are there none? */
  get empty(): boolean {
    return this.lanes.size === 0;
  }

  /** Makes later requests on the key of one that is under way wait for it. */
  fence(state: SlowRequest): void {
    state.fenced = true;
    this.lane(state).underWay.add(state);
  }

  /** Puts a request, under way or new, among those that wait; false when its key has no lane. */
  join(state: SlowRequest): boolean {
    if (!this.lanes.has(holdKey(state))) return false;
    this.enter(state);
    return true;
  }

  /**
   * Puts a request among those that wait, in a lane of its own if need be. Whether it is the first;
   * then the one behind it, if it waited for its time, has to wait for its turn: that comes back.
   */
  enter(state: SlowRequest): {
    readonly isFirst: boolean;
    readonly second: SlowRequest | undefined;
  } {
    const { underWay, waiting } = this.lane(state);
    underWay.delete(state);
    state.fenced = false;
    let at = waiting.length;
    while (at > 0 && (waiting[at - 1] as SlowRequest).request > state.request) at--;
    waiting.splice(at, 0, state);
    const [, second] = waiting;
    const isFirst = at === 0;
    return { isFirst, second: isFirst && second?.behind === false ? second : undefined };
  }

  /** Takes a request out that is settled; whether others of its lane are left. */
  leave(state: SlowRequest): boolean {
    const key = holdKey(state);
    const lane = this.lanes.get(key);
    if (lane === undefined) return false;
    const { underWay, waiting } = lane;
    underWay.delete(state);
    state.fenced = false;
    const at = waiting.indexOf(state);
    if (at >= 0) waiting.splice(at, 1);
    if (underWay.size > 0 || waiting.length > 0) return true;
    this.lanes.delete(key);
    return false;
  }

  /** Takes those of a request's lane that are to be sent now; they belong into one frame. */
  next(state: SlowRequest): SlowRequest[] {
    const key = holdKey(state);
    const lane = this.lanes.get(key);
    if (lane === undefined) return [];
    const { underWay, waiting } = lane;
    let limit = Number.POSITIVE_INFINITY;
    for (const { request } of underWay) limit = Math.min(limit, request);
    const route = waiting[0]?.route;
    let count = 0;
    for (const { behind, request, route: own } of waiting) {
      if (!behind || request > limit || own !== route) break;
      count++;
    }
    const sent = waiting.splice(0, count);
    if (waiting.length === 0 && underWay.size === 0) this.lanes.delete(key);
    else for (const one of sent) this.fence(one);
    return sent;
  }

  private lane(state: SlowRequest): Lane {
    const key = holdKey(state);
    let lane = this.lanes.get(key);
    if (lane === undefined) {
      lane = { underWay: new Set(), waiting: [] };
      this.lanes.set(key, lane);
    }
    return lane;
  }
}
