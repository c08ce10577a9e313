/**
 * Reports the statistics of the shards that this node leads to the directory: every interval, and
 * at once when a shard has crossed a threshold of its policy.
 *
 * Shards whose figures the directory has already are left out, so that idle shards cost nothing;
 * now and then all are sent, in case the directory has let go of some. Loads are per interval,
 * whenever a report is made.
 */
import type { ReportedShard } from "../directory/commands.ts";
import { FULL_REPORT_INTERVALS, REPORT_PAUSE_MS, SHARDS_PER_REPORT } from "../limits.ts";
import { loadRatio, type SplitMergePolicyFields } from "../policy.ts";
import type { Cancel, Clock } from "./ports.ts";

/** A shard's figures as they are now; `load` is what was counted since they were last taken. */
export type ShardFigures = ReportedShard;

/** What reporting needs from the rest of the node. */
export interface ReporterPorts extends Clock {
  /** The figures of all shards that this node leads; their load counters start anew. */
  takeFigures(): readonly ShardFigures[];
  /** The policy of a keyspace, when it is known here. */
  policy(keyspace: string): SplitMergePolicyFields | undefined;
  /** Sends a report to the directory's leader; the names of the shards that were taken. */
  report(shards: readonly ReportedShard[]): Promise<readonly string[]>;
}

interface Known {
  /** What the directory has taken last. */
  taken: ReportedShard | null;
  /** Whether the shard was above a threshold when it was last reported. */
  over: boolean;
  /** Load counted in the present interval by reports made before its end. */
  carried: number;
  /** Load of the interval before. */
  previous: number;
}

const NOTHING_TO_CANCEL: Cancel = () => undefined;

/** The reporter of a node. */
export class StatisticsReporter {
  private readonly ports: ReporterPorts;
  private readonly interval: number;
  private readonly shards = new Map<string, Known>();
  private running = false;
  private sending = false;
  private intervalStart = 0;
  private lastReport = Number.NEGATIVE_INFINITY;
  private intervals = 0;
  private cancelInterval: Cancel = NOTHING_TO_CANCEL;
  private cancelEarly: Cancel | null = null;

  constructor(ports: ReporterPorts, options: { readonly statsCollectionInterval: number }) {
    this.ports = ports;
    this.interval = options.statsCollectionInterval;
  }

  /** Begins to report. */
  start(): void {
    if (this.running) return;
    this.running = true;
    this.intervalStart = this.ports.elapsed();
    this.nextInterval();
    this.hurry();
  }

  /** Ends at once: no timer is left. */
  stop(): void {
    this.running = false;
    this.cancelInterval();
    this.cancelEarly?.();
    this.cancelEarly = null;
    this.shards.clear();
  }

  /** To be called when commands were applied to a shard that this node leads; cheap. */
  applied(keyspace: string, name: string, keys: number, size: number, load: number): void {
    const policy = this.ports.policy(keyspace);
    const known = this.shards.get(name);
    if (policy === undefined || known?.over === true) return;
    const counted = load + (known?.carried ?? 0);
    if (loadRatio(policy, { keys, size, load: counted }) > 1) this.hurry();
  }

  /** Has a report made at once, or as soon as the last one is long enough ago. */
  hurry(): void {
    if (!this.running || this.cancelEarly !== null) return;
    const wait = Math.max(0, this.lastReport + REPORT_PAUSE_MS - this.ports.elapsed());
    this.cancelEarly = this.ports.schedule(Math.ceil(wait), () => {
      this.cancelEarly = null;
      void this.report(false);
    });
  }

  private nextInterval(): void {
    this.cancelInterval = this.ports.schedule(this.interval, () => {
      void this.report(true);
      this.nextInterval();
    });
  }

  private async report(endsInterval: boolean): Promise<void> {
    if (!this.running) return;
    const now = this.ports.elapsed();
    this.lastReport = now;
    const elapsed = Math.max(1, now - this.intervalStart);
    const all = endsInterval && this.intervals++ % FULL_REPORT_INTERVALS === 0;
    const figures = this.ports.takeFigures().map((shard) => {
      const load = this.loadOf(shard, endsInterval ? elapsed : null);
      return { ...shard, load };
    });
    if (endsInterval) {
      this.intervalStart = now;
      this.forgetOthers(figures);
    }
    // The load that was taken is kept in `carried`; a report that is still under way is enough.
    if (this.sending) return;
    const changed = figures.filter((shard) => all || !this.isTaken(shard));
    this.sending = true;
    try {
      for (let at = 0; at < changed.length && this.running; at += SHARDS_PER_REPORT) {
        await this.send(changed.slice(at, at + SHARDS_PER_REPORT));
      }
    } catch {
      // The directory has no leader at present; the figures go out with the next interval.
    }
    this.sending = false;
  }

  /**
   * Load per interval. An early report knows the present interval only in part; the one before is
   * the better guess as long as it was higher.
   */
  private loadOf(
    { name, keyspace, keys, size, load }: ShardFigures,
    elapsed: number | null,
  ): number {
    const known = this.shards.get(name) ?? { taken: null, over: false, carried: 0, previous: 0 };
    this.shards.set(name, known);
    const counted = known.carried + load;
    const rate =
      elapsed === null
        ? Math.max(counted, known.previous)
        : (counted * this.interval) / Math.max(elapsed, this.interval);
    known.carried = elapsed === null ? counted : 0;
    if (elapsed !== null) known.previous = rate;
    const policy = this.ports.policy(keyspace);
    known.over = policy !== undefined && loadRatio(policy, { keys, size, load: rate }) > 1;
    return rate;
  }

  private isTaken(shard: ReportedShard): boolean {
    const taken = this.shards.get(shard.name)?.taken;
    if (!taken) return false;
    const fields = ["group", "start", "end", "keys", "size", "load"] as const;
    return fields.every((field) => taken[field] === shard[field]);
  }

  private async send(batch: readonly ReportedShard[]): Promise<void> {
    const taken = new Set(await this.ports.report(batch));
    for (const shard of batch) {
      const known = this.shards.get(shard.name);
      if (known && taken.has(shard.name)) known.taken = shard;
    }
  }

  private forgetOthers(figures: readonly ReportedShard[]): void {
    const names = new Set(figures.map((shard) => shard.name));
    for (const name of this.shards.keys()) {
      if (!names.has(name)) this.shards.delete(name);
    }
  }
}
