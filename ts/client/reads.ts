/**
 * Reads of groups, wherever their leader is: answered here under the lease or after a confirmed
 * round, otherwise by the node that leads, which hints and answers of other nodes point to.
 *
 * Promises: a linearizable read is answered only by a replica that held a lease or was confirmed
 * after the read began; an election is waited for within the call's settings; requests and results
 * cross as bytes, so nobody shares an object.
 */
import { RaftKVError } from "../errors.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import { LEADER_HINTS_MAX, REMOTE_READS_MAX } from "../limits.ts";
import type { Result } from "../machine/machine.ts";
import { type CallSettings, type CallTarget, callError } from "./call.ts";
import {
  answerReads,
  isServing,
  type NodeCalls,
  READ_CALL,
  READ_KIND,
  type ReadAnswer,
  ReadCalls,
  type ReadKind,
} from "./read-calls.ts";
import { ENDED, within } from "./within.ts";

/** How long to wait before members are asked again for a leader, in milliseconds. */
const LEADER_POLL_MS = 20;
/** How long a node that did not answer is asked after all others, in milliseconds. */
const SILENT_MS = 1000;

/** What reads ask the rest of the node. */
export interface ReadsContext {
  /** This node's id. */
  readonly node: number;
  /** The nodes that may hold a replica of the group, in the order in which to ask them. */
  members(group: number): readonly number[];
  /** @throws `CLOSED` once the node is being closed */
  checkOpen(): void;
}

/** Why nobody answered a read: no node says that it leads, or the one that was asked is silent. */
export type Miss = "no leader" | "no answer";

/** What one look for an answer gave. */
export type Attempt = { readonly result: Result } | Miss;

/** How long a call waits for a leader in all, in milliseconds. */
export function leaderLimit(call: CallSettings): number {
  return call.timeout + call.retry * (call.timeout + call.retryInterval);
}

/** The error of a call whose time is over. */
function missError(miss: Miss, target: CallTarget): RaftKVError {
  return callError(miss === "no answer" ? "TIMEOUT" : "NO_LEADER", "not applied", target);
}

/** See the head of this file. */
export class Reads {
  private readonly host: Host;
  private readonly context: ReadsContext;
  private readonly calls: ReadCalls;
  /** The node that last answered for a group. */
  private readonly hints = new Map<number, number>();
  private readonly silentUntil = new Map<number, number>();
  private remote = 0;

  constructor(host: Host, calls: NodeCalls, context: ReadsContext) {
    this.host = host;
    this.context = context;
    this.calls = new ReadCalls(calls);
    calls.handle(READ_CALL, (message) => answerReads(host, message));
  }

  /** Is there a replica here, or another node to ask? */
  isReachable(group: number): boolean {
    return this.host.replica(group) !== undefined || this.isElsewhere(group);
  }

  /** Is there another node to ask? */
  isElsewhere(group: number): boolean {
    return this.context.members(group).some((node) => node !== this.context.node);
  }

  /** @throws `CLOSED` once the node is being closed */
  checkOpen(): void {
    this.context.checkOpen();
  }

  /** Reads a group; `target` is named in errors. Resolves to a refusal of the machine as well. */
  async read(
    group: number,
    request: Uint8Array,
    call: CallSettings,
    target: CallTarget,
  ): Promise<Result> {
    const until = performance.now() + leaderLimit(call);
    for (;;) {
      const attempt = await this.attempt(group, request, call, until, target);
      if (typeof attempt === "object") return attempt.result;
      if (call.trace !== undefined) call.trace.attempts++;
      await this.wait(group, until, call, attempt, target);
    }
  }

  /**
   * Looks for an answer once: here, then at the leader as far as it is known, then at each member.
   * `until` is a reading of `performance.now()`. @throws `ABORTED`, `OVERLOADED`
   */
  async attempt(
    group: number,
    request: Uint8Array,
    call: CallSettings,
    until: number,
    target: CallTarget,
  ): Promise<Attempt> {
    const { signal, consistency } = call;
    const isStale = consistency === "stale";
    if (signal?.aborted) throw callError("ABORTED", "not applied", target);
    const replica = this.host.replica(group);
    if (replica?.canRead() || (isStale && replica !== undefined && isServing(replica))) {
      return { result: replica.machine.query(request) };
    }
    if (!isStale && replica?.leading) {
      const time = Math.min(call.timeout, until - performance.now());
      if (await this.isConfirmed(replica, time, signal)) {
        return { result: replica.machine.query(request) };
      }
    }
    const kind = isStale ? READ_KIND.stale : READ_KIND.linearizable;
    if (this.remote >= REMOTE_READS_MAX) throw callError("OVERLOADED", "not applied", target);
    const attempt = await this.elsewhere(group, kind, request, call, until);
    if (signal?.aborted) throw callError("ABORTED", "not applied", target);
    // A replica to which nothing was applied yet is better than no answer.
    const isLast = typeof attempt === "string" && isStale;
    const here = isLast ? this.host.replica(group) : undefined;
    return here?.whole ? { result: here.machine.query(request) } : attempt;
  }

  /**
   * The node that leads a group, 0 when nobody is known to. Without a replica here, members are
   * asked; questions of one tick about several groups share the calls to their nodes.
   */
  async leader(group: number, call: CallSettings): Promise<number> {
    const replica = this.host.replica(group);
    if (replica !== undefined) return replica.leader;
    const nothing = new Uint8Array(0);
    const asked = new Set([this.context.node]);
    for (;;) {
      const node = this.next(group, this.hintOf(group), asked);
      if (node === undefined) return 0;
      asked.add(node);
      const answer = await this.ask(node, group, READ_KIND.leader, nothing, call.timeout).catch(
        () => undefined,
      );
      if (typeof answer === "object" && "leader" in answer && answer.leader !== 0) {
        return answer.leader;
      }
    }
  }

  /**
   * Waits after a miss until the group may have another leader, for a short time, or for the
   * signal. Throws when there is no time left to ask once more.
   */
  async wait(
    group: number,
    until: number,
    call: CallSettings,
    miss: Miss,
    target: CallTarget,
  ): Promise<void> {
    const time = Math.max(1, Math.min(LEADER_POLL_MS, until - performance.now()));
    let stop: () => void = () => undefined;
    const changed = new Promise<void>((resolve) => {
      stop = this.host.onceLeaderChanged(group, resolve);
    });
    await within(changed, time, call.signal);
    stop();
    this.context.checkOpen();
    if (call.signal?.aborted) throw callError("ABORTED", "not applied", target);
    // An attempt with next to no time would say that a node is silent which had no time to answer.
    if (until - performance.now() < LEADER_POLL_MS) throw missError(miss, target);
  }

  private async isConfirmed(
    replica: Replica,
    milliseconds: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const confirmed = replica.readable().then(
      () => true,
      () => false,
    );
    const outcome = await within(confirmed, Math.max(1, milliseconds), signal);
    return outcome === true && this.host.replica(replica.group) === replica && replica.whole;
  }

  private async elsewhere(
    group: number,
    kind: ReadKind,
    request: Uint8Array,
    call: CallSettings,
    until: number,
  ): Promise<Attempt> {
    let asked: Set<number> | undefined;
    let miss: Miss = "no leader";
    let hint = this.hintOf(group);
    this.remote++;
    try {
      for (;;) {
        const time = Math.min(call.timeout, until - performance.now());
        let node: number | undefined = hint;
        // Nearly always the first hint is right, and nobody else need be thought of.
        if (asked !== undefined || hint === 0 || this.silentUntil.has(hint)) {
          asked ??= new Set([this.context.node]);
          node = this.next(group, hint, asked);
        }
        if (node === undefined || time <= 0 || call.signal?.aborted) return miss;
        const asking = this.ask(node, group, kind, request, time);
        const answer = await within(asking, undefined, call.signal);
        if (answer === ENDED) return miss;
        if (typeof answer === "object" && "result" in answer) {
          this.remember(group, node);
          return answer;
        }
        if (answer === "no answer") miss = answer;
        asked ??= new Set([this.context.node]);
        asked.add(node);
        hint = typeof answer === "object" ? answer.leader : 0;
      }
    } finally {
      this.remote--;
    }
  }

  private ask(
    node: number,
    group: number,
    kind: ReadKind,
    request: Uint8Array,
    timeoutMs: number,
  ): Promise<ReadAnswer | Miss> {
    return this.calls.ask(node, group, kind, request, timeoutMs).then(
      (answer) => {
        if (this.silentUntil.size > 0) this.silentUntil.delete(node);
        return answer;
      },
      (error: unknown) => {
        if (this.hints.get(group) === node) this.hints.delete(group);
        const code = error instanceof RaftKVError ? error.code : "INTERNAL";
        if (code === "OVERLOADED") throw error;
        this.silentUntil.set(node, performance.now() + SILENT_MS);
        return code === "TIMEOUT" ? "no answer" : "no leader";
      },
    );
  }

  private hintOf(group: number): number {
    const leader = this.host.replica(group)?.leader ?? 0;
    return leader !== 0 && leader !== this.context.node ? leader : (this.hints.get(group) ?? 0);
  }

  /** The node to ask next: the hint, then members; those that were silent of late come last. */
  private next(group: number, hint: number, asked: ReadonlySet<number>): number | undefined {
    const candidates = hint === 0 ? [] : [hint];
    candidates.push(...this.context.members(group));
    const open = candidates.filter((node) => !asked.has(node));
    const now = performance.now();
    return open.find((node) => (this.silentUntil.get(node) ?? 0) <= now) ?? open[0];
  }

  private remember(group: number, node: number): void {
    const { hints } = this;
    if (hints.get(group) === node) return;
    hints.delete(group);
    hints.set(group, node);
    if (hints.size <= LEADER_HINTS_MAX) return;
    for (const oldest of hints.keys()) {
      hints.delete(oldest);
      break;
    }
  }
}
