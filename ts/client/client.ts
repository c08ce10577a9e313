/**
 * The commands of this node's callers: numbered, written into the outbox, handed to the engine once
 * per tick, settled by the host, and sent again where that is right.
 *
 * Invariants:
 * - a promise is settled exactly once, whatever happens to the node;
 * - a command is sent again only as a retry of the same request number, so that it takes effect at
 *   most once (architecture, "Exactly once");
 * - while a command waits to be sent again, later ones of this node on the same key wait behind it,
 *   so that calls that were not awaited take effect in call order.
 */
import type { Outcome, RaftKVError } from "../errors.ts";
import { REFUSED } from "../host/host.ts";
import { resultValue } from "../host/replica.ts";
import {
  MOVES_MAX,
  OUTBOX_FLUSH_BYTES,
  OUTBOX_FLUSH_COMMANDS,
  REQUESTS_IN_FLIGHT_MAX,
} from "../limits.ts";
import { Refusal, type Result } from "../machine/machine.ts";
import { isFinal } from "../machine/sessions.ts";
import { CallMetrics } from "../metrics/call-metrics.ts";
import type { NativeEngine } from "../native/engine.ts";
import { ROUTE_GROUP } from "../native/frames.ts";
import {
  type CallSettings,
  type ClientContext,
  callError,
  DEFAULT_CALL,
  DEFAULT_CALL_MS,
} from "./call.ts";
import { CallClock } from "./call-clock.ts";
import { asError, commandError, rejected, storageFailure, withOutcome } from "./failure.ts";
import { Lanes } from "./lanes.ts";
import { type Chunk, groupRoute, NO_KEY, Outbox } from "./outbox.ts";
import { Requests, type Resolve } from "./requests.ts";
import { Retries } from "./retries.ts";
import {
  homeOf,
  outcomeOf,
  pauseAfterRefusal,
  putBehind,
  type SlowRequest,
  setOff,
  slowRequest,
} from "./slow-request.ts";
import { UnderWay } from "./under-way.ts";

/** How often time limits are looked at, in milliseconds. */
const TIME_LIMIT_CHECK_MS = 50;

/** Reasons for which a command is sent again. */
const WILL_PASS: ReadonlySet<number> = new Set([REFUSED.notLeader, REFUSED.unknownGroup]);

let captured: Resolve = () => {};
const capture = (resolve: Resolve) => {
  captured = resolve;
};

/** See the head of this file. */
export class Client {
  /** What is counted of commands. */
  readonly metrics = new CallMetrics();
  private readonly engine: NativeEngine;
  private readonly context: ClientContext;
  private readonly requests = new Requests<SlowRequest>();
  private readonly lanes = new Lanes();
  private readonly outbox = new Outbox();
  private readonly underWay: UnderWay;
  private readonly clock = new CallClock(TIME_LIMIT_CHECK_MS);
  private encoding = false;
  private readonly retries: Retries;
  private timer: NodeJS.Timeout | undefined;
  private closed: RaftKVError | undefined;
  private readonly flushSoon = () => this.flush();

  constructor(engine: NativeEngine, context: ClientContext) {
    this.engine = engine;
    this.context = context;
    this.underWay = new UnderWay(engine, this.requests, this.outbox);
    this.retries = new Retries(engine, {
      acknowledged: () => this.requests.acknowledged(),
      refused: (states, error) => {
        for (const state of states) this.fail(state, withOutcome(asError(error), outcomeOf(state)));
      },
      sent: () => {
        this.timer ??= this.startTimer();
      },
    });
  }

  /** How many requests are not settled. */
  get inFlight(): number {
    return this.requests.fast + this.requests.slow.size;
  }

  /** How many commands were sent, settled or not. */
  get sent(): number {
    return this.requests.next - 1;
  }

  /**
   * Sends a command. `route` is a keyspace's number or `groupRoute(group)`; `key` is `NO_KEY` for a
   * command to a group as a whole, `FOR_HOSTS` for one to its hosts.
   */
  command(
    route: number,
    key: unknown,
    argument: unknown,
    call: CallSettings = DEFAULT_CALL,
  ): Promise<unknown> {
    if (this.closed !== undefined) return Promise.reject(this.closed);
    if (this.inFlight >= REQUESTS_IN_FLIGHT_MAX) {
      return Promise.reject(callError("OVERLOADED", "not applied", this.context.target(route)));
    }
    if (this.encoding) {
      // A getter of another call's argument made this one; that argument's record is half written.
      return Promise.resolve().then(() => this.command(route, key, argument, call));
    }
    const { current } = this.outbox;
    const chunk = current ?? this.openChunk();
    this.encoding = true;
    try {
      chunk.add(route, key, argument, call.place?.hash);
    } catch (error) {
      return Promise.reject(error);
    } finally {
      this.encoding = false;
    }
    const promise = new Promise<unknown>(capture);
    const isTimed = current === undefined && (route & ROUTE_GROUP) === 0;
    const resolve = isTimed ? this.metrics.timed(captured, route) : captured;
    if (call === DEFAULT_CALL && this.lanes.empty) {
      this.requests.add(resolve);
    } else if (!this.addSlow(chunk, route, resolve, call)) {
      return promise;
    }
    if (
      chunk.offsets.length >= OUTBOX_FLUSH_COMMANDS ||
      chunk.writer.length >= OUTBOX_FLUSH_BYTES
    ) {
      this.flush();
    }
    return promise;
  }

  /** Gives a request its answer. */
  settled(request: number, result: Result): void {
    if (result instanceof Refusal) {
      this.refusedByMachine(request, result);
      return;
    }
    const resolve = this.requests.take(request) ?? this.takeSlow(request);
    if (resolve !== undefined) resolve(resultValue(result));
  }

  /** The engine did not take a request. */
  refused(request: number, reason: number, unknown: boolean): void {
    const state = this.underWay.slow(request);
    if (state === undefined) return;
    state.unknown ||= unknown;
    // It was under way twice, and waits already, for the other answer, to be sent again.
    if (state.waiting && WILL_PASS.has(reason)) return;
    switch (reason) {
      case REFUSED.notLeader:
        this.retryLater(state);
        return;
      case REFUSED.unknownGroup:
        this.unknownGroup(state);
        return;
      case REFUSED.overloaded:
        this.fail(state, this.error(state, "OVERLOADED"));
        return;
      case REFUSED.storageFailed:
        this.fail(state, storageFailure(this.context, state.home, outcomeOf(state)));
        return;
      default:
        // A group that stopped while the node is open: the retry learns why.
        if (this.closed === undefined) this.retryLater(state);
        else this.fail(state, this.error(state, "CLOSED"));
    }
  }

  /** A group has a leader: requests that wait for one go at once. */
  leaderAppeared(): void {
    for (const state of this.requests.slow.values()) {
      if (state.waiting && !state.behind && state.lockAttempts === 0) this.resend(state);
    }
  }

  /**
   * This node's replica of a group is gone, and with it the answers that would have come through
   * it: the other members know them.
   */
  replicaRemoved(group: number): void {
    this.flush();
    for (const state of this.underWay.sentTo(group)) {
      if (state.waiting) continue;
      state.unknown = true;
      this.sendAgain(state);
    }
  }

  /**
   * A keyspace's routes are about to change: what is called later may not overtake what is under
   * way on keys whose hash `moves`. The others' requests are left as they are.
   */
  routesChanging(route: number, moves: (hash: number) => boolean): void {
    this.flush();
    for (const state of this.underWay.moving(route, moves)) {
      // Where it was sent on to may have given the key away: what is called later goes past there.
      if (state.waiting) state.route = homeOf(state);
      else this.lanes.fence(state);
    }
  }

  /** Shards moved: requests that wait for that go at once. */
  routesChanged(): void {
    for (const state of this.requests.slow.values()) {
      if (state.waiting && !state.behind && state.lockAttempts > 0) this.resend(state);
    }
  }

  /** Sends what waits, and answers later calls with `error`. */
  refuseNew(error: RaftKVError): void {
    this.flush();
    this.retries.close();
    this.closed ??= error;
  }

  /** Ends every request that is left, and answers later calls with `error`. */
  close(error: RaftKVError): void {
    this.closed ??= error;
    this.retries.close();
    clearInterval(this.timer);
    const unknown = withOutcome(error, "unknown");
    this.requests.drain((_request, resolve) => resolve(rejected(unknown)));
    for (const state of [...this.requests.slow.values()]) this.fail(state, unknown);
    this.outbox.clear();
  }

  /** Hands the outbox to the engine now; otherwise that happens at the end of the tick. */
  flush(): void {
    this.retries.flush();
    const chunk = this.outbox.take(this.clock.now());
    if (chunk === undefined) return;
    try {
      this.engine.submit(chunk.writer.bytes, chunk.writer.length, chunk.base);
    } catch (error) {
      this.notTaken(chunk, error);
    }
    this.timer ??= this.startTimer();
  }

  private openChunk(): Chunk {
    const { requests, outbox } = this;
    outbox.reclaim(requests.ringTail);
    queueMicrotask(this.flushSoon);
    return outbox.open(requests.next, requests.acknowledged());
  }

  /** A request with options of its own, or behind one that waits; false: it was not sent. */
  private addSlow(chunk: Chunk, route: number, resolve: Resolve, call: CallSettings): boolean {
    const request = this.requests.next;
    const record = chunk.record(request);
    const state = slowRequest(request, record, route, resolve, call);
    this.requests.addSlow(state);
    if (call.signal !== undefined) {
      if (call.signal.aborted) {
        this.removeLast(chunk);
        this.fail(state, callError("ABORTED", "not applied", this.context.target(route)));
        return false;
      }
      state.onAbort = () => {
        const outcome = state.behind ? outcomeOf(state) : "unknown";
        this.fail(state, this.error(state, "ABORTED", outcome));
      };
      call.signal.addEventListener("abort", state.onAbort, { once: true });
    }
    if (this.lanes.join(state)) {
      this.putBehind(state);
      this.removeLast(chunk);
      return false;
    }
    state.deadline = this.clock.now() + call.timeout;
    return true;
  }

  /** Makes a request of a lane wait for its turn. */
  private putBehind(state: SlowRequest): void {
    putBehind(state, this.clock.now());
    this.timer ??= this.startTimer();
  }

  /** Takes the last record back out of the open chunk: its number is used up, the chunk ends. */
  private removeLast(chunk: Chunk): void {
    chunk.removeLast();
    this.flush();
  }

  private takeSlow(request: number): Resolve | undefined {
    const state = this.requests.slow.get(request);
    if (state === undefined) return undefined;
    this.forget(state);
    return state.resolve;
  }

  private forget(state: SlowRequest): void {
    this.requests.slow.delete(state.request);
    this.retries.delete(state);
    if (state.onAbort !== undefined) {
      state.call.signal?.removeEventListener("abort", state.onAbort);
    }
    if (!this.lanes.empty && this.lanes.leave(state)) this.advance(state);
  }

  /** Sends those on a request's key whose turn it is. */
  private advance(state: SlowRequest): void {
    for (const next of this.lanes.next(state)) {
      setOff(next, this.clock.now());
      this.retries.add(next);
    }
  }

  private fail(state: SlowRequest, error: RaftKVError): void {
    this.metrics.failed(error.code);
    this.forget(state);
    state.resolve(rejected(error));
  }

  private error(
    state: SlowRequest,
    code: Parameters<typeof callError>[0],
    outcome: Outcome = outcomeOf(state),
  ): RaftKVError {
    return callError(code, outcome, this.context.target(state.home));
  }

  private refusedByMachine(request: number, refusal: Refusal): void {
    const state = this.underWay.slow(request);
    // As in `refused`.
    if (state === undefined || (state.waiting && !isFinal(refusal))) return;
    switch (refusal.code) {
      case "MOVED":
        this.moved(state, refusal.group);
        return;
      case "STALE":
      case "BELOW_RANGE":
      case "ABOVE_RANGE":
        this.moved(state, undefined);
        return;
      case "NOT_YET":
        this.retryShard(state);
        return;
      default:
        this.fail(state, commandError(refusal, this.context.target(state.home)));
    }
  }

  /** The key is elsewhere: ask there at once, but not for ever. */
  private moved(state: SlowRequest, group: number | undefined): void {
    this.metrics.retried("moved", state.call.trace);
    state.route = group === undefined ? homeOf(state) : groupRoute(group);
    if (++state.moves > MOVES_MAX) {
      this.retryShard(state);
      return;
    }
    this.sendAgain(state);
  }

  private unknownGroup(state: SlowRequest): void {
    state.route = homeOf(state);
    const absence = this.context.absence(state.route);
    if (absence !== undefined) {
      this.fail(state, withOutcome(absence, outcomeOf(state)));
      return;
    }
    // It is on its way here, or its members change.
    this.retryShard(state);
  }

  private retryShard(state: SlowRequest): void {
    this.metrics.retried("shard_transition", state.call.trace);
    if (state.lockAttempts++ >= state.call.shardLockRetry) {
      this.fail(state, this.error(state, "SHARD_TRANSITION_TIMEOUT"));
      return;
    }
    state.moves = 0;
    this.wait(state, state.call.shardLockRetryInterval);
  }

  private retryLater(state: SlowRequest): void {
    this.metrics.retried("no_leader", state.call.trace);
    const pause = pauseAfterRefusal(state);
    if (pause !== null) this.wait(state, pause);
    else this.fail(state, this.error(state, "NO_LEADER"));
  }

  /**
   * An attempt got no answer in time. The engine has the command still and answers all that it
   * took, so it is not sent again: that would only add to what makes it slow.
   */
  private attemptTimedOut(state: SlowRequest, now: number): void {
    this.metrics.retried("no_answer", state.call.trace);
    const { timeout, retry, retryInterval } = state.call;
    state.unknown = true;
    if (state.attempts++ >= retry) this.fail(state, this.error(state, "TIMEOUT"));
    else state.deadline = now + retryInterval + timeout;
  }

  private wait(state: SlowRequest, milliseconds: number): void {
    const { isFirst, second } = this.lanes.enter(state);
    if (second !== undefined) this.putBehind(second);
    if (!isFirst) {
      this.putBehind(state);
      return;
    }
    state.waiting = true;
    state.deadline = this.clock.now() + milliseconds;
    this.timer ??= this.startTimer();
  }

  /** The time of a request that waits has come. */
  private resend(state: SlowRequest): void {
    this.putBehind(state);
    this.advance(state);
  }

  /** Sends a request again that is under way, in its turn. */
  private sendAgain(state: SlowRequest): void {
    if (this.lanes.join(state)) {
      this.resend(state);
      return;
    }
    state.deadline = this.clock.now() + state.call.timeout;
    this.retries.add(state);
  }

  private notTaken(chunk: Chunk, error: unknown): void {
    const cause = asError(error);
    for (let request = chunk.first; request <= chunk.last; request++) {
      const resolve = this.requests.take(request) ?? this.takeSlow(request);
      resolve?.(rejected(withOutcome(cause, "not applied")));
    }
  }

  /** Ends what was sent with the default settings and got no answer in all its attempts' time. */
  private giveUp(chunk: Chunk): void {
    for (let request = chunk.first; request <= chunk.last; request++) {
      const resolve = this.requests.take(request);
      if (resolve === undefined) continue;
      const target = this.context.target(chunk.route(request));
      resolve(rejected(callError("TIMEOUT", "unknown", target)));
    }
  }

  private startTimer(): NodeJS.Timeout {
    this.clock.start();
    const timer = setInterval(() => this.checkTimeLimits(), TIME_LIMIT_CHECK_MS);
    timer.unref();
    return timer;
  }

  private checkTimeLimits(): void {
    const now = this.clock.tick();
    for (const chunk of this.outbox.sent) {
      if (chunk.sentAt + DEFAULT_CALL_MS > now) break;
      this.giveUp(chunk);
    }
    this.outbox.reclaim(this.requests.ringTail);
    for (const state of [...this.requests.slow.values()]) {
      if (state.deadline > now) continue;
      if (state.behind) {
        this.fail(state, this.error(state, "TIMEOUT"));
      } else if (state.waiting) {
        this.resend(state);
      } else {
        this.attemptTimedOut(state, now);
      }
    }
    if (this.inFlight === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
  }
}

export { NO_KEY };
