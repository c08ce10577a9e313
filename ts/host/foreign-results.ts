/**
 * Results of commands that nodes without a replica sent to this node, which leads: the engine asks
 * for those of an entry after it was applied here, and takes them to the node that waits.
 *
 * Most are in the retry table of the group's sessions. This keeps what is not there: answers that
 * ask the sender to come again, a bounded number of the latest, and who waits for a command that is
 * parked. What is not known here is answered as late: the sender repeats it as a retry, which is
 * never applied twice.
 */
import { decodeValue, encodeValue } from "../codec/value.ts";
import { FOREIGN_REFUSALS_KEPT, RESULTS_WAITING_MAX } from "../limits.ts";
import type { CommandOrigin, Result } from "../machine/machine.ts";
import { Refusal } from "../machine/machine.ts";
import { type PackedResult, packResult, unpackResult } from "../machine/result.ts";
import { isFinal, type Sessions } from "../machine/sessions.ts";
import type { NativeEngine } from "../native/engine.ts";
import { BATCH, ENTRY, RECORD } from "../native/frames.ts";
import { readLong } from "./drained.ts";

/** Version of what crosses. */
const FORMAT = 1;

/** Answers a command whose batch came too late, or of which nothing is known any more. */
export const LATE = new Refusal(
  "STALE",
  "the batch arrived late; send the command again as a retry",
);

const NOT_YET = new Refusal("NOT_YET", "the result is not known here yet; ask again later");

/** Results of one batch: node, incarnation, request numbers, their results. */
type BatchResults = readonly [number, number, readonly number[], readonly PackedResult[]];

interface Ticket {
  readonly number: number;
  readonly batches: { node: number; incarnation: number; requests: number[]; results: Result[] }[];
  /** How many results are not known yet. */
  missing: number;
}

interface Place {
  readonly ticket: Ticket;
  readonly batch: number;
  readonly at: number;
}

/** How many tickets of a node wait for parked commands; shared by its groups. */
export class WaitingTickets {
  count = 0;
}

/** The results of one group's foreign commands, see the head of this file. */
export class ForeignResults {
  private readonly engine: Pick<NativeEngine, "giveResults">;
  private readonly sessions: Sessions;
  private readonly waiting: WaitingTickets;
  private readonly refusals = new Map<string, Refusal>();
  private readonly parked = new Map<string, Place[]>();
  private readonly tickets = new Set<Ticket>();

  constructor(
    engine: Pick<NativeEngine, "giveResults">,
    sessions: Sessions,
    waiting: WaitingTickets,
  ) {
    this.engine = engine;
    this.sessions = sessions;
    this.waiting = waiting;
  }

  /** A foreign command was refused. */
  refused(origin: CommandOrigin, refusal: Refusal): void {
    if (isFinal(refusal)) return;
    const { refusals } = this;
    const name = nameOf(origin.node, origin.incarnation, origin.request);
    refusals.delete(name);
    refusals.set(name, refusal);
    if (refusals.size <= FOREIGN_REFUSALS_KEPT) return;
    for (const oldest of refusals.keys()) {
      refusals.delete(oldest);
      break;
    }
  }

  /** A foreign command was parked: its result comes by `settled`. */
  park(origin: CommandOrigin): void {
    const name = nameOf(origin.node, origin.incarnation, origin.request);
    if (!this.parked.has(name)) this.parked.set(name, []);
  }

  /** A foreign command that had been parked was answered. */
  settled(origin: CommandOrigin, result: Result): void {
    const name = nameOf(origin.node, origin.incarnation, origin.request);
    const places = this.parked.get(name);
    this.parked.delete(name);
    if (result instanceof Refusal && !places?.length) this.refused(origin, result);
    for (const { ticket, batch, at } of places ?? []) {
      const results = ticket.batches[batch]?.results;
      if (results !== undefined) results[at] = result;
      if (--ticket.missing > 0) continue;
      this.tickets.delete(ticket);
      this.waiting.count--;
      this.give(ticket);
    }
  }

  /** The results of the entry at word `entry` are wanted; gives them as soon as all are known. */
  wanted(number: number, words: Int32Array, entry: number): void {
    const ticket: Ticket = { number, batches: [], missing: 0 };
    const mayWait = this.waiting.count < RESULTS_WAITING_MAX;
    let batch = entry + ENTRY.headerBytes / 4;
    for (let left = words[entry + ENTRY.batches] as number; left > 0; left--) {
      this.collect(ticket, words, batch, mayWait);
      batch += (words[batch + BATCH.length] as number) >> 2;
    }
    if (ticket.missing === 0) {
      this.give(ticket);
      return;
    }
    this.tickets.add(ticket);
    this.waiting.count++;
  }

  /**
   * The replica is gone or starts anew, and with it what it would have heard of parked commands:
   * their senders are asked to come again at once, and do not wait until their time is over.
   */
  end(): void {
    const tickets = [...this.tickets];
    this.waiting.count -= tickets.length;
    this.tickets.clear();
    this.parked.clear();
    this.refusals.clear();
    for (const ticket of tickets) this.give(ticket);
  }

  private collect(ticket: Ticket, words: Int32Array, at: number, mayWait: boolean): void {
    const node = readLong(words, at + BATCH.node);
    const incarnation = words[at + BATCH.incarnation] as number;
    const acknowledged = readLong(words, at + BATCH.acknowledged);
    const requests: number[] = [];
    const results: Result[] = [];
    let record = at + BATCH.headerBytes / 4;
    for (let left = words[at + BATCH.records] as number; left > 0; left--) {
      const request = acknowledged + ((words[record + RECORD.request] as number) >>> 0);
      record += (words[record + RECORD.length] as number) >> 2;
      requests.push(request);
      const known = this.sessions.find(node, incarnation, request);
      if (known !== undefined) {
        results.push(known.result);
        continue;
      }
      const name = nameOf(node, incarnation, request);
      const places = this.parked.get(name);
      if (places !== undefined && mayWait) {
        places.push({ ticket, batch: ticket.batches.length, at: results.length });
        ticket.missing++;
      }
      results.push(places === undefined ? (this.refusals.get(name) ?? LATE) : NOT_YET);
      this.refusals.delete(name);
    }
    ticket.batches.push({ node, incarnation, requests, results });
  }

  private give(ticket: Ticket): void {
    const batches = ticket.batches.map(
      ({ node, incarnation, requests, results }): BatchResults => [
        node,
        incarnation,
        requests,
        results.map(packResult),
      ],
    );
    try {
      this.engine.giveResults(ticket.number, encodeValue([FORMAT, batches]));
    } catch {
      // The engine is being closed, and says so to whoever waits.
    }
  }
}

/**
 * Calls `settle` for each result of this session's requests in what another node's host gave.
 * Throws when the bytes are not of this format; then nothing was settled.
 */
export function settleResults(
  bytes: Uint8Array,
  self: { readonly node: number; readonly incarnation: number },
  settle: (request: number, result: Result) => void,
): void {
  const [format, batches] = decodeValue(bytes) as readonly [number, readonly BatchResults[]];
  if (format !== FORMAT) throw new TypeError(`results of format ${String(format)}`);
  const answers: [number, Result][] = [];
  for (const [node, incarnation, requests, results] of batches) {
    if (node !== self.node || incarnation !== self.incarnation) continue;
    for (const [at, request] of requests.entries()) {
      const packed = results[at];
      if (!Array.isArray(packed)) throw new TypeError(`no result for request ${request}`);
      answers.push([request, unpackResult(packed as PackedResult)]);
    }
  }
  for (const [request, result] of answers) settle(request, result);
}

function nameOf(node: number, incarnation: number, request: number): string {
  return `${node}/${incarnation}/${request}`;
}
