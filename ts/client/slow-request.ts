/** A request that needs more than a slot in the ring: it is sent again, or has its own options. */
import type { Outcome } from "../errors.ts";
import { REFUSED_RETRY_MS_MIN } from "../limits.ts";
import type { CallSettings } from "./call.ts";
import { recordKey } from "./outbox.ts";
import type { Resolve } from "./requests.ts";

/** See the head of this file. */
export interface SlowRequest {
  readonly request: number;
  readonly record: Uint8Array;
  /** The route that the caller gave; `route` is where it goes now. */
  readonly home: number;
  route: number;
  readonly resolve: Resolve;
  readonly call: CallSettings;
  attempts: number;
  /** Refusals in the present attempt. */
  refusals: number;
  lockAttempts: number;
  moves: number;
  /** An attempt got no answer: the command may have been applied. */
  unknown: boolean;
  /** When the present attempt is given up, by `performance.now()`. */
  deadline: number;
  waiting: boolean;
  /** It waits for its turn among the requests on its key, and not for a time. */
  behind: boolean;
  /** It is under way, and later ones on its key wait until it is settled. */
  fenced: boolean;
  onAbort: (() => void) | undefined;
}

/** A slow request before its first attempt. */
export function slowRequest(
  request: number,
  record: Uint8Array,
  route: number,
  resolve: Resolve,
  call: CallSettings,
): SlowRequest {
  return {
    request,
    record,
    home: route,
    route,
    resolve,
    call,
    attempts: 0,
    refusals: 0,
    lockAttempts: 0,
    moves: 0,
    unknown: false,
    deadline: 0,
    waiting: false,
    behind: false,
    fenced: false,
    onAbort: undefined,
  };
}

/** Makes a request wait for its turn; `now` is a reading of the client's clock. */
export function putBehind(state: SlowRequest, now: number): void {
  const { timeout, retry, retryInterval } = state.call;
  state.waiting = true;
  state.behind = true;
  state.deadline = now + timeout + (timeout + retryInterval) * retry;
}

/** Ends the wait of a request that is about to be sent again. */
export function setOff(state: SlowRequest, now: number): void {
  state.waiting = false;
  state.behind = false;
  state.deadline = now + state.call.timeout;
}

/**
 * How long to wait after no leader took it, in milliseconds; `null` when no attempt is left. Most
 * often a leader is about to: within the time of an attempt it is soon, ever less often.
 */
export function pauseAfterRefusal(state: SlowRequest): number | null {
  const { retry, retryInterval, timeout } = state.call;
  const soon = REFUSED_RETRY_MS_MIN * 2 ** state.refusals++;
  if (soon < Math.min(timeout, retryInterval)) return soon;
  state.refusals = 0;
  return state.attempts++ >= retry ? null : retryInterval;
}

/** Where a request goes as long as no shard says otherwise. */
export function homeOf({ home, call }: SlowRequest): number {
  return call.place?.route() ?? home;
}

/** What keeps commands in order: the route that the caller gave, and the key. */
export function holdKey(state: SlowRequest): string {
  return `${state.home}:${Buffer.from(recordKey(state.record)).toString("latin1")}`;
}

/** What is known of a request's effect, should it fail now. */
export function outcomeOf(state: SlowRequest): Outcome {
  return state.unknown ? "unknown" : "not applied";
}
