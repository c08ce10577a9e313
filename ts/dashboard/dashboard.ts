/**
 * What a node collects for its dashboard. Nothing before somebody looks for the first time; from
 * then on, once a second, what this node knows anyway. Only while somebody looks are other nodes
 * asked, now and then, which groups they lead. No group is woken.
 */
import type { SendPart } from "../admin/http/route.ts";
import { RaftKVError } from "../errors.ts";
import { DASHBOARD_INTERVAL_MS, DASHBOARD_LEADERS_MS } from "../limits.ts";
import { Happenings, type Told } from "./happenings.ts";
import { History, type Sampled } from "./history.ts";
import { type Counters, RecentRates } from "./rates.ts";
import type { RunStream, StreamSource } from "./routes.ts";
import type { Mark, NodeState, Past, View } from "./types.ts";

/** The active node, as far as the dashboard asks it. */
export interface DashboardNode {
  /** What is shown of the cluster; made for those who look. */
  state(): NodeState;
  /** What is kept of every second, looked at or not. */
  sampled(): Sampled[];
  counters(): Counters;
  /** Asks other nodes which groups they lead; what they answer is in a later state. */
  lookAround(): void;
}

/** Where it all comes from. */
export interface DashboardSource {
  /** `undefined` while the node is not active. */
  node(): DashboardNode | undefined;
  /** Calls back for whatever happens, until the function that is returned is called. */
  follow(happened: (told: Told) => void): () => void;
}

/** What was collected since it began. */
interface Collected {
  readonly history: History;
  readonly rates: RecentRates;
  readonly happenings: Happenings;
  readonly timer: NodeJS.Timeout;
  readonly unfollow: () => void;
  /** When other nodes were asked last, milliseconds since 1970. */
  lookedAround: number;
  /** The newest view as a message, made once for all who look. */
  message: string | undefined;
}

/** See the head of this file. */
export class Dashboard implements StreamSource {
  private readonly source: DashboardSource;
  private collected: Collected | undefined;
  private readonly waiting = new Set<() => void>();

  constructor(source: DashboardSource) {
    this.source = source;
  }

  /** Begins to collect. Repeated calls are harmless. @throws `NOT_ACTIVE` */
  start(): void {
    if (this.collected !== undefined) return;
    if (this.source.node() === undefined) {
      throw new RaftKVError("NOT_ACTIVE", "the node is not active, or no longer");
    }
    const happenings = new Happenings();
    const timer = setInterval(() => this.collect(), DASHBOARD_INTERVAL_MS);
    timer.unref();
    this.collected = {
      ...{ history: new History(), rates: new RecentRates(), happenings, timer },
      unfollow: this.source.follow((told) => happenings.add(told)),
      ...{ lookedAround: 0, message: undefined },
    };
    this.collect();
  }

  /** Ends collecting and all streams, and forgets what was collected. */
  stop(): void {
    if (this.collected === undefined) return;
    clearInterval(this.collected.timer);
    this.collected.unfollow();
    this.collected = undefined;
    for (const wake of this.waiting) wake();
  }

  /** A stream of the past, then of how things are each second. @throws `NOT_ACTIVE` */
  open(signal: AbortSignal): RunStream {
    this.start();
    return (send) => this.stream(send, signal);
  }

  private async stream(send: SendPart, signal: AbortSignal): Promise<void> {
    const { collected } = this;
    if (collected === undefined) return;
    this.lookAround(collected);
    const past: Past = { samples: collected.history.samples };
    await send(message("past", past));
    while (!signal.aborted && this.collected === collected) {
      const text = this.message(collected);
      if (text !== undefined) await send(text);
      await this.next(signal);
    }
  }

  private message(collected: Collected): string | undefined {
    const { history, happenings } = collected;
    const sample = history.samples.at(-1);
    const node = this.source.node();
    if (node === undefined || sample === undefined) return undefined;
    if (collected.message === undefined) {
      const { marks } = history;
      const all = happenings.all;
      const view: View = { ...node.state(), at: sample.at, sample, marks, happenings: all };
      collected.message = message("view", view);
    }
    return collected.message;
  }

  private collect(): void {
    const { collected } = this;
    const node = this.source.node();
    if (collected === undefined || node === undefined) return;
    const { history, rates, happenings } = collected;
    const at = Date.now();
    rates.add(node.counters());
    for (const mark of history.add(at, rates.get(), node.sampled())) happenings.add(toldOf(mark));
    collected.message = undefined;
    if (this.waiting.size > 0) this.lookAround(collected);
    for (const wake of this.waiting) wake();
  }

  private lookAround(collected: Collected): void {
    if (Date.now() - collected.lookedAround < DASHBOARD_LEADERS_MS) return;
    collected.lookedAround = Date.now();
    this.source.node()?.lookAround();
  }

  private next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}

/** What is told of a border that moved; the node that carried it out tells more. */
function toldOf({ at, kind, keyspace, hash }: Mark): Told {
  const shard = `${keyspace}_${hash}`;
  const text = kind === "split" ? `${shard} was split off` : `${shard} was merged`;
  return { at, kind, text, about: `${kind} ${shard}`, concluded: true };
}

function message(name: string, data: Past | View): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
