/**
 * Commands on their way from one node to the groups' leaders: gathered into entries, appended where
 * this node leads, sent on where it does not, refused where nobody takes them.
 *
 * A node's commands to one group keep their order: the next entry goes once the place of the one
 * before is decided, what was submitted before the host has heard of a refusal is refused too, and
 * answers come in the order of the entries. The engine does not promise all of that; `keepsOrder`
 * turns it off, but for the answers.
 */
import { REFUSED } from "../../ts/host/host.ts";
import type { EngineCore } from "./engine-core.ts";
import { batchOf, entryOf, made, type SubmittedRecord } from "./frames.ts";
import type { Outcome, SimulatedGroup } from "./group.ts";

/** How long results are waited for, as `RESULTS_WAIT` of the engine. */
const RESULTS_WAIT_MS = 4_000;
const FORWARD_ATTEMPTS_MAX = 4;

interface Batch {
  readonly bytes: Uint8Array;
  readonly requests: readonly number[];
}

/** Entries of one node for one group. */
export class Line {
  private readonly engine: EngineCore;
  private readonly group: number;
  private pending: Batch[] = [];
  private busy = false;
  /** Entries that a leader has appended, and nobody knows yet whether they stay. */
  private undecided = 0;
  private appendedInTerm = 0;
  /** Refusals that the host has not heard of. */
  private refusals = 0;
  /** Counts refusals: what was on its way before one is refused as well. */
  private epoch = 0;
  /** When the last answer comes. */
  private answeredAt = 0;

  constructor(engine: EngineCore, group: number) {
    this.engine = engine;
    this.group = group;
  }

  private get world() {
    return this.engine.world;
  }

  add(number: number, acknowledged: number, records: readonly SubmittedRecord[]): void {
    const requests = records.map(({ request }) => request);
    if (this.refusals > 0 && this.world.chaos.keepsOrder) {
      this.refuse(requests, false);
      return;
    }
    const bytes = batchOf(this.engine.session, number, acknowledged, records);
    this.pending.push({ bytes, requests });
    this.goOn(this.world.time.between(0, 0.4));
  }

  /** The group is not here any more. */
  end(): void {
    const requests = this.pending.splice(0).flatMap((batch) => batch.requests);
    if (requests.length > 0) this.refuse(requests, false, REFUSED.closed);
  }

  private goOn(delay: number): void {
    if (this.busy || this.pending.length === 0) return;
    this.busy = true;
    const { time } = this.world;
    time.schedule(this.engine.owner, delay, () => {
      this.busy = false;
      if (this.pending.length === 0) return;
      const group = this.world.groups.get(this.group);
      // What was appended under another leader may be lost yet.
      const waits = this.undecided > 0 && group?.term === this.appendedInTerm && group.leader === 0;
      const moved = this.undecided > 0 && group?.term !== this.appendedInTerm;
      if ((waits || moved) && this.world.chaos.keepsOrder) {
        this.goOn(2);
        return;
      }
      const batches = this.pending.splice(0);
      const requests = batches.flatMap((batch) => batch.requests);
      const entry = entryOf(batches.map(({ bytes }) => bytes));
      if (group !== undefined && this.engine.leads(group)) this.append(group, entry, requests);
      else this.sendOn(entry, requests);
    });
  }

  private append(group: SimulatedGroup, entry: Uint8Array, requests: readonly number[]): void {
    this.appended(group);
    group.append(entry, (outcome) => {
      this.undecided--;
      if (outcome !== "applied") this.refuse(requests, outcome === "unknown");
    });
    this.goOn(0.1);
  }

  private appended(group: SimulatedGroup): void {
    this.undecided++;
    this.appendedInTerm = group.term;
  }

  private sendOn(entry: Uint8Array, requests: readonly number[], attempt = 1, hint = 0): void {
    const { engine, world } = this;
    const others = engine.othersOf(this.group);
    const known = hint !== 0 ? hint : engine.knownLeader(this.group);
    const to = others.includes(known) ? known : others[attempt % Math.max(1, others.length)];
    if (to === undefined) {
      this.refuse(requests, false);
      return;
    }
    const wantsResults = !engine.isBound(this.group);
    this.busy = true;
    const { time, chaos } = world;
    const { epoch } = this;
    const over = (then: () => void) => {
      time.schedule(engine.owner, time.between(0.3, 4), () => {
        this.busy = false;
        then();
        this.goOn(0.1);
      });
    };
    if (time.chance(chaos.lost)) {
      // Nobody knows whether it comes yet.
      if (time.chance(0.5))
        time.schedule(undefined, time.between(500, 6_000), () => this.late(entry));
      time.schedule(undefined, time.between(100, 900), () =>
        over(() => this.refuse(requests, true)),
      );
      return;
    }
    time.schedule(undefined, time.between(0.3, 4), () => {
      const there = world.engine(to);
      const group = world.groups.get(this.group);
      if (epoch !== this.epoch && chaos.keepsOrder) {
        over(() => this.refuse(requests, false));
        return;
      }
      if (there !== undefined && group !== undefined && there.leads(group)) {
        this.busy = false;
        this.appendThere(there, group, entry, requests, wantsResults);
        this.goOn(0.1);
        if (time.chance(chaos.doubled)) {
          time.schedule(undefined, time.between(1, 3_000), () => this.late(entry));
        }
        return;
      }
      const told = there?.knownLeader(this.group) ?? 0;
      over(() => {
        if (attempt >= FORWARD_ATTEMPTS_MAX) this.refuse(requests, false);
        else this.sendOn(entry, requests, attempt + 1, told === to ? 0 : told);
      });
    });
  }

  private appendThere(
    there: EngineCore,
    group: SimulatedGroup,
    entry: Uint8Array,
    requests: readonly number[],
    wantsResults: boolean,
  ): void {
    const { engine, world } = this;
    const { time, chaos } = world;
    const later = (least: number, most: number, then: () => void) => {
      this.answeredAt = Math.max(this.answeredAt, time.now + time.between(least, most));
      time.schedule(engine.owner, this.answeredAt - time.now, then);
    };
    this.appended(group);
    group.append(entry, (outcome: Outcome, index) => {
      this.undecided--;
      if (outcome !== "applied") {
        this.refuse(requests, outcome === "unknown");
      } else if (!wantsResults) {
        if (time.chance(chaos.lost)) later(5, 200, () => this.refuse(requests, true));
      } else if (time.chance(chaos.lost)) {
        later(5, 2_000, () => this.refuse(requests, true));
      } else {
        let answered = false;
        const answer = (results: Uint8Array | null) => {
          if (answered) return;
          answered = true;
          later(0.3, 4, () => {
            if (results === null) this.refuse(requests, true);
            else engine.pushResults(this.group, results);
          });
        };
        there.wantResults(group, index, entry, answer);
        time.schedule(undefined, RESULTS_WAIT_MS, () => answer(null));
      }
    });
  }

  /** A copy that was held up somewhere arrives at whoever leads by then. */
  private late(entry: Uint8Array): void {
    const group = this.world.groups.get(this.group);
    const leader = group === undefined ? undefined : this.world.engine(group.leader);
    if (group !== undefined && leader?.leads(group)) group.append(entry, () => undefined);
  }

  private refuse(
    requests: readonly number[],
    unknown: boolean,
    reason: number = REFUSED.notLeader,
  ): void {
    if (!this.engine.isRunning) return;
    this.world.trace(unknown ? "lets down" : "refuses", this.engine.node, this.group, ...requests);
    this.refusals++;
    this.epoch++;
    const frame = made.refused(this.group, reason, requests, unknown);
    this.engine.push(frame, () => {
      this.refusals--;
    });
    if (!this.world.chaos.keepsOrder) return;
    const behind = this.pending.splice(0).flatMap((batch) => batch.requests);
    if (behind.length > 0) this.refuse(behind, false, reason);
  }
}
