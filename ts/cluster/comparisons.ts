/**
 * Has the replicas of the groups that this node leads compared: of those that changed since they
 * were last compared, that this node leads anew, or of which a member may be another than it was:
 * its process was started anew, or it was rebuilt.
 *
 * A comparison is two entries in the group's log and a pass over the state on each replica. A group
 * that nothing happened to costs a look at two numbers and is not woken. Passes take a small part of
 * the event loop: the longer one took, the later the next begins.
 */
import type { Checked, HostCommand } from "../host/checks.ts";
import type { Replica } from "../host/replica.ts";
import { COMPARISON_LOOK_MS, COMPARISON_REST_FACTOR, COMPARISONS_AT_ONCE_MAX } from "../limits.ts";
import type { Cancel } from "./membership.ts";

/** What comparisons act through. */
export interface ComparisonPorts {
  /** This node's id. */
  readonly node: number;
  /** Milliseconds between two comparisons of a group. */
  readonly interval: number;
  /** The replicas of this node that are to be compared with others. */
  replicas(): Iterable<Replica>;
  /** The checksum that this node's replica had at an index; `null`: there is none. */
  result(replica: Replica, index: number): Promise<Checked | null>;
  /** Puts a command into the group's log. */
  send(group: number, command: HostCommand): Promise<unknown>;
  /** Calls back once after so many milliseconds. */
  schedule(delay: number, callback: () => void): Cancel;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
}

/** What a replica was like when its group was last compared. */
interface Compared {
  /** When that began. */
  at: number;
  term: number;
  changes: number;
  /** It is to be compared again all the same. */
  again: boolean;
}

/** See the head of this file. */
export class Comparisons {
  private readonly ports: ComparisonPorts;
  private compared = new WeakMap<Replica, Compared>();
  private due: Replica[] = [];
  private running = 0;
  private restUntil = 0;
  private timer: Cancel | undefined;
  private rest: Cancel | undefined;
  private stopped = true;

  constructor(ports: ComparisonPorts) {
    this.ports = ports;
  }

  /** Starts to look for groups to compare. */
  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.look();
  }

  /** Begins nothing any more. */
  stop(): void {
    this.stopped = true;
    this.timer?.();
    this.rest?.();
    this.rest = undefined;
  }

  /** A group is to be compared at its next turn, changed or not. */
  again(replica: Replica): void {
    const compared = this.compared.get(replica);
    if (compared !== undefined) compared.again = true;
  }

  /** A member of all groups may have another state than before: its process was started anew. */
  memberStartedAnew(): void {
    for (const replica of this.ports.replicas()) this.again(replica);
  }

  private look(): void {
    if (this.stopped) return;
    const { interval } = this.ports;
    this.due = [...this.ports.replicas()].filter((replica) => this.isDue(replica));
    this.pump();
    this.timer = this.ports.schedule(Math.min(COMPARISON_LOOK_MS, interval), () => this.look());
  }

  private isDue(replica: Replica): boolean {
    if (!replica.leading || !replica.whole) return false;
    const compared = this.compared.get(replica);
    if (compared === undefined) return true;
    const { term, changes, again } = compared;
    if (!again && term === replica.term && changes === replica.changes) return false;
    return this.ports.now() - compared.at >= this.ports.interval;
  }

  private pump(): void {
    while (!this.stopped && this.due.length > 0 && this.running < COMPARISONS_AT_ONCE_MAX) {
      const wait = this.restUntil - this.ports.now();
      if (wait > 0) {
        this.rest ??= this.ports.schedule(wait, () => {
          this.rest = undefined;
          this.pump();
        });
        return;
      }
      const replica = this.due.shift() as Replica;
      if (this.isDue(replica)) void this.compare(replica);
    }
  }

  private async compare(replica: Replica): Promise<void> {
    const { term, group } = replica;
    const { node } = this.ports;
    const compared = this.compared.get(replica) ?? { at: 0, term: 0, changes: 0, again: false };
    compared.at = this.ports.now();
    compared.again = false;
    this.compared.set(replica, compared);
    this.running++;
    try {
      const index = Number(await this.ports.send(group, { type: "begin" }));
      const checked = await this.ports.result(replica, index);
      if (checked === null) return;
      this.restUntil = this.ports.now() + checked.took * COMPARISON_REST_FACTOR;
      // The state at that index was that of the leader of this term only if it is leader still.
      if (!replica.leading || replica.term !== term) return;
      const { checksum, changes } = checked;
      await this.ports.send(group, { type: "compare", index, checksum, node, term });
      Object.assign(compared, { term, changes });
    } catch {
      // Without a majority there is nobody to compare with; the next interval tries again.
    } finally {
      this.running--;
      this.pump();
    }
  }
}
