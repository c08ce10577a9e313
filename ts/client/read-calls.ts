/**
 * Reads as they cross between hosts: those of one tick for one node share a call, and the node that
 * answers does for each what it would do for a read of its own, or says who leads.
 */
import { RaftKVError } from "../errors.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import { READ_BYTES_PER_CALL, READS_PER_CALL_MAX } from "../limits.ts";
import type { Result } from "../machine/machine.ts";
import { type PackedResult, packResult, unpackResult } from "../machine/result.ts";

/** Type of the calls. */
export const READ_CALL = "read";

/** What is asked for: an answer that is up to date, any answer, or only who leads. */
export const READ_KIND = { linearizable: 0, stale: 1, leader: 2 } as const;

/** One of `READ_KIND`. */
export type ReadKind = (typeof READ_KIND)[keyof typeof READ_KIND];

/** A result, or who leads as far as the node knows that was asked (0: nobody, or not known). */
export type ReadAnswer = { readonly result: Result } | { readonly leader: number };

/** Group, kind, request. */
type WireRead = readonly [number, ReadKind, Uint8Array];
/** A result, or a leader. */
type WireAnswer = readonly [0, PackedResult] | readonly [1, number];

/** The calls between hosts, as far as reads need them. */
export interface NodeCalls {
  call(node: number, message: { readonly type: string }, timeoutMs: number): Promise<unknown>;
  handle(type: string, handler: (message: { readonly type: string }) => unknown): void;
}

interface Batch {
  readonly node: number;
  readonly timeoutMs: number;
  readonly reads: WireRead[];
  readonly waiting: { resolve(answer: ReadAnswer): void; reject(error: unknown): void }[];
  bytes: number;
}

/** Sends reads to other nodes, see the head of this file. */
export class ReadCalls {
  private readonly calls: NodeCalls;
  private readonly open = new Map<string, Batch>();
  /** The batch that took the last read: most often the one that takes the next. */
  private last: Batch | undefined;

  constructor(calls: NodeCalls) {
    this.calls = calls;
  }

  /** Asks a node; rejects as the call does. */
  ask(
    node: number,
    group: number,
    kind: ReadKind,
    request: Uint8Array,
    timeoutMs: number,
  ): Promise<ReadAnswer> {
    return new Promise((resolve, reject) => {
      const batch = this.batch(node, Math.ceil(timeoutMs));
      batch.reads.push([group, kind, request]);
      batch.waiting.push({ resolve, reject });
      batch.bytes += request.length;
      if (batch.reads.length >= READS_PER_CALL_MAX || batch.bytes >= READ_BYTES_PER_CALL) {
        this.send(batch);
      }
    });
  }

  private batch(node: number, timeoutMs: number): Batch {
    const { last } = this;
    if (last?.node === node && last.timeoutMs === timeoutMs) return last;
    const name = nameOf(node, timeoutMs);
    let batch = this.open.get(name);
    if (batch === undefined) {
      batch = this.begin(node, timeoutMs);
      this.open.set(name, batch);
    }
    this.last = batch;
    return batch;
  }

  private begin(node: number, timeoutMs: number): Batch {
    const batch: Batch = { node, timeoutMs, reads: [], waiting: [], bytes: 0 };
    queueMicrotask(() => this.send(batch));
    return batch;
  }

  private send(batch: Batch): void {
    const { node, timeoutMs, reads, waiting } = batch;
    const name = nameOf(node, timeoutMs);
    if (this.open.get(name) !== batch) return;
    this.open.delete(name);
    if (this.last === batch) this.last = undefined;
    const message = { type: READ_CALL, reads };
    this.calls
      .call(node, message, timeoutMs)
      .then((reply) => {
        const answers = answersIn(reply, reads.length);
        for (const [at, { resolve }] of waiting.entries()) resolve(answers[at] as ReadAnswer);
      })
      .catch((error: unknown) => {
        for (const { reject } of waiting) reject(error);
      });
  }
}

function nameOf(node: number, timeoutMs: number): string {
  return `${node}/${timeoutMs}`;
}

function answersIn(reply: unknown, count: number): ReadAnswer[] {
  if (!Array.isArray(reply) || reply.length !== count) {
    throw new RaftKVError("INTERNAL", "another node's answer to reads cannot be read");
  }
  return (reply as WireAnswer[]).map((answer) =>
    answer[0] === 0 ? { result: unpackResult(answer[1]) } : { leader: Number(answer[1]) || 0 },
  );
}

/** Answers a call of another node's `ReadCalls`. @throws `INVALID_ARGUMENT` when it is none */
export async function answerReads(host: Host, message: object): Promise<WireAnswer[]> {
  const { reads } = message as { readonly reads?: unknown };
  if (!Array.isArray(reads) || !reads.every(isRead)) {
    throw new RaftKVError("INVALID_ARGUMENT", "the reads cannot be read");
  }
  return Promise.all(reads.map((read) => answerRead(host, read)));
}

function isRead(read: unknown): read is WireRead {
  return Array.isArray(read) && Number.isInteger(read[0]) && read[2] instanceof Uint8Array;
}

function answerRead(
  host: Host,
  [group, kind, request]: WireRead,
): WireAnswer | Promise<WireAnswer> {
  const replica = host.replica(group);
  if (replica === undefined) return [1, 0];
  if (kind === READ_KIND.leader) return [1, replica.leader];
  if (kind === READ_KIND.stale) {
    return isServing(replica)
      ? [0, packResult(replica.machine.query(request))]
      : elsewhere(replica);
  }
  if (replica.canRead()) return [0, packResult(replica.machine.query(request))];
  if (!replica.leading) return elsewhere(replica);
  return replica.readable().then(
    () => {
      // It may have been taken away, or begun to install a snapshot, since it was confirmed.
      if (host.replica(group) !== replica || !replica.whole) return [1, 0];
      return [0, packResult(replica.machine.query(request))];
    },
    () => elsewhere(replica),
  );
}

/** Has the replica a state that is worth to be told, even if it is behind? */
export function isServing(replica: Replica): boolean {
  return replica.whole && (replica.applied > 0 || replica.canRead());
}

/** A leader that nobody confirmed is no answer to who leads. */
function elsewhere(replica: Replica): WireAnswer {
  return [1, replica.leading ? 0 : replica.leader];
}
