/**
 * The requests that are not settled, looked at by where they go. Nearly all of them are fast, a slot
 * in a ring and bytes in a chunk of the outbox; only those that are asked for get their slow form.
 */
import type { NativeEngine } from "../native/engine.ts";
import { ROUTE_GROUP } from "../native/frames.ts";
import { DEFAULT_CALL } from "./call.ts";
import { type Outbox, recordKey } from "./outbox.ts";
import type { Requests } from "./requests.ts";
import { type SlowRequest, slowRequest } from "./slow-request.ts";

/** Where a request goes, whichever form it has. */
interface Routed {
  /** The route that the caller gave. */
  readonly home: number;
  /** The route that it was sent by. */
  readonly route: number;
  readonly key: Uint8Array;
  readonly fenced: boolean;
}

/** See the head of this file. */
export class UnderWay {
  private readonly engine: Pick<NativeEngine, "hashKey" | "findGroup">;
  private readonly requests: Requests<SlowRequest>;
  private readonly outbox: Outbox;

  constructor(
    engine: Pick<NativeEngine, "hashKey" | "findGroup">,
    requests: Requests<SlowRequest>,
    outbox: Outbox,
  ) {
    this.engine = engine;
    this.requests = requests;
    this.outbox = outbox;
  }

  /** The slow form of a request that is not settled; a fast one is turned into it. */
  slow(request: number): SlowRequest | undefined {
    const known = this.requests.slow.get(request);
    if (known !== undefined) return known;
    const chunk = this.outbox.find(request);
    if (chunk === undefined) return undefined;
    const resolve = this.requests.take(request);
    if (resolve === undefined) return undefined;
    const record = chunk.record(request);
    const state = slowRequest(request, record, chunk.route(request), resolve, DEFAULT_CALL);
    state.deadline = chunk.sentAt + DEFAULT_CALL.timeout;
    this.requests.slow.set(request, state);
    return state;
  }

  /** Those that a group may have got: one whose routes have changed may have gone by the old ones. */
  sentTo(group: number): SlowRequest[] {
    return this.matching((state) => state.fenced || this.groupOf(state) === group);
  }

  /** Those of a keyspace's route whose key has a hash that `moves`. */
  moving(route: number, moves: (hash: number) => boolean): SlowRequest[] {
    return this.matching(({ home, key }) => {
      if (home !== route) return false;
      const found = this.engine.hashKey(route, key);
      return found === null || moves(found.hash);
    });
  }

  private matching(isMeant: (state: Routed) => boolean): SlowRequest[] {
    for (const chunk of this.outbox.sent) {
      for (let request = chunk.first; request <= chunk.last; request++) {
        if (!this.requests.has(request)) continue;
        const route = chunk.route(request);
        const routed = { home: route, route, key: chunk.key(request), fenced: false };
        if (isMeant(routed)) this.slow(request);
      }
    }
    return [...this.requests.slow.values()].filter(({ home, route, record, fenced }) =>
      isMeant({ home, route, key: recordKey(record), fenced }),
    );
  }

  /** Where a request goes now, as far as the routes know. */
  private groupOf({ route, key }: Routed): number | null {
    if ((route & ROUTE_GROUP) !== 0) return (route & ~ROUTE_GROUP) >>> 0;
    const found = this.engine.hashKey(route, key);
    return found === null ? null : this.engine.findGroup(route, found.hash);
  }
}
