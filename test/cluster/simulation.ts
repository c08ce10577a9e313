/**
 * A cluster in one process and in virtual time: the real fleet machine, the real workers of every
 * node, and engines that keep the rules of Raft membership without keeping a log.
 *
 * A change of voters counts from when the leader takes it, and is complete once majorities of the
 * old and the new voters hold it; a leader that dies before may take it along. A seed decides every
 * delay, failure, death and election.
 */
import { GroupMembership } from "../../ts/cluster/membership.ts";
import type { FleetCommand } from "../../ts/fleet/commands.ts";
import { fleetModule } from "../../ts/fleet/fleet.ts";
import { type FleetGroup, type FleetState, groupById } from "../../ts/fleet/state.ts";
import { majority, sameNodes } from "../../ts/fleet/targets.ts";
import { MEMBERSHIP_GROUPS_AT_ONCE } from "../../ts/limits.ts";
import type { GroupStatus, MemberAddress } from "../../ts/native/engine.ts";
import { Timers } from "./timers.ts";

/** How long it takes until everybody knows that a node has died or come back. */
const DETECTION_MS = 40;
/** How far behind a member may be that has "caught up". */
const LAG = 64;

/** A group as its engines have it. */
interface Raft {
  readonly id: number;
  /** One set of voters, or two while they are changed. */
  sets: number[][];
  learners: number[];
  leader: number;
  lastIndex: number;
  /** Up to where each member's log is the leader's. */
  readonly matching: Map<number, number>;
  busy: boolean;
}

interface SimulatedNode {
  readonly id: number;
  alive: boolean;
  /** When it died or came back. */
  changedAt: number;
  view: FleetState;
  worker: GroupMembership;
  calls: number;
}

export class Simulation {
  readonly seed: number;
  readonly nodes = new Map<number, SimulatedNode>();
  readonly rafts = new Map<number, Raft>();
  fleet: FleetState = fleetModule.init();
  time = 0;
  /** Probability that a call fails, before or after it has an effect. */
  failing = 0;
  /** Calls of all workers. */
  calls = 0;
  readonly warnings: string[] = [];
  readonly counts = { joint: 0, transfers: 0, lost: 0, kept: 0 };
  private failure: unknown = null;
  private readonly timers = new Timers();
  private states = 0;
  private readonly creating = new Set<number>();
  private state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.state = seed | 0;
  }

  // Time and chance

  random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.random() * all.length)] as T;
  }

  schedule(delay: number, callback: () => void): () => void {
    return this.timers.add(this.time + delay, callback);
  }

  pause(most: number): Promise<void> {
    return new Promise((resolve) => this.schedule(this.random() * most, resolve));
  }

  /** Lets virtual time pass until something holds, or for so long. */
  async run(most: number, until: () => boolean = () => false): Promise<boolean> {
    const limit = this.time + most;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.failure !== null) throw new Error(`seed ${this.seed}: ${this.failure}`);
      if (until()) return true;
      const next = this.timers.next(limit);
      if (next === undefined) {
        this.time = limit;
        return false;
      }
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
  }

  check(holds: boolean, what: string): void {
    if (!holds) this.failure ??= new Error(what);
  }

  // Nodes and the fleet

  /** Applies a command, and lets each node hear of it after a while. */
  tell(command: FleetCommand): void {
    this.fleet = fleetModule.command(this.fleet, command)[1];
    this.create();
    for (const node of this.nodes.values()) {
      const { fleet } = this;
      this.schedule(this.random() * 30, () => this.hear(node, fleet));
    }
  }

  private readonly ages = new WeakMap<FleetState, number>();

  private hear(node: SimulatedNode, fleet: FleetState): void {
    if (!node.alive || this.age(fleet) < this.age(node.view)) return;
    node.view = fleet;
    node.worker.fleetChanged();
  }

  /** States come in the order in which they were made. */
  private age(fleet: FleetState): number {
    let age = this.ages.get(fleet);
    if (age === undefined) {
      age = this.states++;
      this.ages.set(fleet, age);
    }
    return age;
  }

  join(id: number, zone: string): void {
    const node: SimulatedNode = {
      ...{ id, alive: true, changedAt: -DETECTION_MS, view: this.fleet, calls: 0 },
      worker: undefined as never,
    };
    this.nodes.set(id, node);
    this.startWorker(node);
    const incarnation = 1;
    const joining = { id, name: `n${id}`, zone, address: `a${id}`, version: "0", incarnation };
    this.tell({ type: "joinNode", node: { ...joining, modules: ["m"] }, now: this.time });
  }

  die(id: number): void {
    const node = this.node(id);
    if (!node.alive) return;
    node.alive = false;
    node.changedAt = this.time;
    node.worker.stop();
    for (const raft of this.rafts.values()) if (raft.leader === id) this.loseLeader(raft);
    this.schedule(DETECTION_MS, () => {
      if (!node.alive) this.tell({ type: "markUnreachable", node: id, since: this.time });
    });
  }

  revive(id: number): void {
    const node = this.node(id);
    if (node.alive) return;
    node.alive = true;
    node.changedAt = this.time;
    this.startWorker(node);
    this.schedule(DETECTION_MS, () => {
      if (node.alive) this.tell({ type: "markReachable", node: id, now: this.time });
    });
  }

  node(id: number): SimulatedNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  isAlive(id: number): boolean {
    return this.nodes.get(id)?.alive === true;
  }

  private startWorker(node: SimulatedNode): void {
    const { id } = node;
    node.view = this.fleet;
    const mine = (): boolean => node.alive && node.worker === worker;
    const call = <T>(group: number, name: string, effect: () => Promise<T>) =>
      this.call(node, mine, group, name, effect);
    const worker: GroupMembership = new GroupMembership({
      node: id,
      fleet: () => node.view,
      leads: (group) => node.alive && this.rafts.get(group)?.leader === id,
      // Old news: a death is known after a while.
      reachable: (other) => {
        const it = this.nodes.get(other);
        if (it === undefined) return false;
        return this.time - it.changedAt < DETECTION_MS ? !it.alive : it.alive;
      },
      engine: {
        groupStatus: (group) => call(group, "status", async () => this.status(group, id)),
        addLearner: (group, member) => call(group, "add", () => this.addLearner(group, member)),
        waitForMember: (group, other) => call(group, "wait", () => this.waitFor(group, other)),
        changeMembers: (group, voters, learners) =>
          call(group, "change", () => this.change(group, id, [...voters], [...learners])),
        transferLeader: (group, to) => call(group, "transfer", () => this.transfer(group, id, to)),
      },
      confirmMembers: (group, version, members) =>
        call(group, "confirm", async () => {
          this.checkConfirmed(group, version);
          this.tell({ type: "confirmMembers", group, version, members });
        }),
      keepMembers: (group, version, members) =>
        call(group, "keep", async () => {
          this.counts.kept++;
          this.tell({ type: "keepMembers", group, version, members });
        }),
      schedule: (delay, callback) => this.schedule(delay, callback),
      warn: (message) => this.warnings.push(message),
    });
    node.worker = worker;
    node.calls = 0;
    worker.start();
  }

  /** A call takes time, and may be lost on the way there or back; a dead node hears no answer. */
  private async call<T>(
    node: SimulatedNode,
    mine: () => boolean,
    group: number,
    name: string,
    effect: () => Promise<T>,
  ): Promise<T> {
    this.calls++;
    // Confirmations go together, however many groups wait for theirs.
    const counts = name === "confirm" ? 0 : 1;
    node.calls += counts;
    const most = MEMBERSHIP_GROUPS_AT_ONCE;
    this.check(node.calls <= most, `node ${node.id} makes more than ${most} calls at once`);
    try {
      await this.pause(6);
      const lost = this.random() < this.failing;
      if (lost || !mine()) throw new Error(`${name} of group ${group} was lost`);
      if (name !== "confirm" && name !== "keep" && this.rafts.get(group)?.leader !== node.id) {
        throw new Error("NO_LEADER");
      }
      const answer = await effect();
      await this.pause(6);
      if (this.random() < this.failing) throw new Error(`the answer to ${name} was lost`);
      if (!mine()) return await new Promise<never>(() => undefined);
      return answer;
    } finally {
      if (mine()) node.calls -= counts;
    }
  }

  // Groups

  private create(): void {
    for (const { id, created } of this.fleet.groups.values()) {
      if (created || this.rafts.has(id) || this.creating.has(id)) continue;
      this.creating.add(id);
      this.schedule(this.random() * 50, () => this.createGroup(id));
    }
  }

  /** Creates a group once the node that has to is alive. */
  private createGroup(id: number): void {
    const group = groupById(this.fleet, id);
    if (group === undefined) return;
    const [creator] = group.members as [number];
    if (this.isAlive(creator)) this.found(group, creator);
    else this.schedule(50, () => this.createGroup(id));
  }

  found({ id, members }: FleetGroup, leader: number): void {
    const raft: Raft = {
      ...{ id, sets: [[...members]], learners: [], leader: 0, lastIndex: 1000, busy: false },
      matching: new Map(members.map((node) => [node, 1000])),
    };
    this.rafts.set(id, raft);
    this.lead(raft, leader);
  }

  private raft(id: number): Raft {
    const raft = this.rafts.get(id);
    if (raft === undefined) throw new Error(`no group ${id}`);
    return raft;
  }

  private lead(raft: Raft, node: number): void {
    const before = raft.leader;
    raft.leader = node;
    raft.matching.set(node, raft.lastIndex);
    for (const id of [before, node]) {
      if (this.isAlive(id)) this.node(id).worker.leaderChanged(raft.id);
    }
  }

  /** Is there a majority of live voters with the log, of each set? */
  hasMajority(raft: Raft, sets = raft.sets, answers = (id: number) => this.isAlive(id)): boolean {
    const enough = (voters: number[]) => {
      const live = voters.filter((id) => answers(id) && this.isNear(raft, id));
      return live.length >= majority(voters.length);
    };
    return sets.every(enough);
  }

  private isNear(raft: Raft, id: number): boolean {
    return (raft.matching.get(id) ?? 0) + LAG >= raft.lastIndex;
  }

  private loseLeader(raft: Raft): void {
    raft.leader = 0;
    this.schedule(20 + this.random() * 60, () => this.elect(raft));
  }

  /** Elects a voter that has the log. */
  elect(raft: Raft): void {
    if (raft.leader !== 0 && this.isAlive(raft.leader)) return;
    const voters = [...new Set(raft.sets.flat())];
    const able = voters.filter((id) => this.isAlive(id) && this.isNear(raft, id));
    if (!this.hasMajority(raft) || able.length === 0) {
      raft.leader = 0;
      this.schedule(50, () => this.elect(raft));
      return;
    }
    this.lead(raft, this.pick(able));
  }

  /** Another voter becomes leader, for whatever reason. */
  disturb(raft: Raft): void {
    if (raft.leader === 0) return;
    const voters = raft.sets.flat().filter((id) => this.isAlive(id) && this.isNear(raft, id));
    if (voters.length > 0) this.lead(raft, this.pick(voters));
  }

  /** Members that answer catch up with the leader, and the log grows. */
  grow(entries: number): void {
    for (const raft of this.rafts.values()) {
      if (raft.leader === 0) continue;
      if (this.hasMajority(raft)) raft.lastIndex += entries;
      for (const id of [...raft.sets.flat(), ...raft.learners]) {
        const behind = raft.lastIndex - (raft.matching.get(id) ?? 0);
        if (!this.isAlive(id)) continue;
        const more = Math.min(behind, 200 + Math.floor(this.random() * 400));
        raft.matching.set(id, (raft.matching.get(id) ?? 0) + more);
      }
    }
  }

  private status(id: number, node: number): GroupStatus {
    const raft = this.raft(id);
    const voters = [...new Set(raft.sets.flat())];
    const member = (voter: boolean) => (one: number) => ({
      ...{ node: one, address: `a${one}`, voter },
      matching: raft.leader === node ? (raft.matching.get(one) ?? null) : null,
    });
    return {
      role: raft.leader === node ? "leader" : voters.includes(node) ? "follower" : "learner",
      term: 1,
      leader: raft.leader,
      changing: raft.sets.length > 1,
      lastIndex: raft.lastIndex,
      lastTerm: 1,
      voterSets: raft.sets,
      bound: true,
      members: [...voters.map(member(true)), ...raft.learners.map(member(false))],
    };
  }

  private async addLearner(id: number, { node, address }: MemberAddress): Promise<void> {
    const raft = this.raft(id);
    this.check(address === `a${node}`, `node ${node} has another address`);
    if ([...raft.sets.flat(), ...raft.learners].includes(node)) return;
    raft.learners.push(node);
    raft.matching.delete(node);
  }

  private async waitFor(id: number, node: number): Promise<void> {
    const raft = this.raft(id);
    const end = this.time + 500;
    while (!this.isNear(raft, node)) {
      if (this.time > end) throw new Error("TIMEOUT");
      await this.pause(20);
    }
  }

  private async change(
    id: number,
    node: number,
    voters: number[],
    learners: number[],
  ): Promise<void> {
    const raft = this.raft(id);
    if (raft.busy) throw new Error("a change is under way");
    raft.busy = true;
    try {
      const all = [...raft.sets.flat(), ...raft.learners];
      for (const one of [...voters, ...learners]) {
        this.check(all.includes(one), `node ${one} is no member of group ${id}`);
      }
      if (!voters.includes(node)) {
        await this.replace(raft, node, [...voters, node]);
        const heir = this.pick(voters.filter((one) => this.isAlive(one) && this.isNear(raft, one)));
        if (heir !== undefined && raft.leader === node) this.lead(raft, heir);
        throw new Error("NO_LEADER");
      }
      await this.replace(raft, node, voters);
      raft.learners = raft.learners.filter((one) => learners.includes(one));
      for (const one of raft.matching.keys()) {
        if (![...voters, ...learners].includes(one)) raft.matching.delete(one);
      }
    } finally {
      raft.busy = false;
    }
  }

  /** Joint consensus: counts from when the leader takes it, complete once both sets hold it. */
  private async replace(raft: Raft, node: number, voters: number[]): Promise<void> {
    const [first] = raft.sets as [number[]];
    if (raft.sets.length === 1 && sameNodes(first, voters)) return;
    const joint = raft.sets.some((set) => sameNodes(set, voters))
      ? [voters]
      : [raft.sets.at(-1) as number[], voters];
    this.checkChange(raft, joint);
    this.counts.joint++;
    await this.adopt(raft, node, joint);
    if (joint.length > 1) await this.adopt(raft, node, [voters]);
  }

  private async adopt(raft: Raft, node: number, sets: number[][]): Promise<void> {
    const before = { sets: raft.sets, learners: raft.learners };
    const gone = [...new Set([...raft.sets.flat(), ...raft.learners])];
    raft.sets = sets;
    raft.learners = gone.filter((one) => !sets.flat().includes(one));
    for (let waits = 0; waits < 20; waits++) {
      await this.pause(10);
      if (raft.leader !== node) {
        // The entry was not committed: whoever was elected has it, or has not.
        if (this.random() < 0.5) Object.assign(raft, before);
        throw new Error("NO_LEADER");
      }
      if (this.hasMajority(raft)) return;
    }
    throw new Error("TIMEOUT");
  }

  private async transfer(id: number, node: number, to: number): Promise<void> {
    const raft = this.raft(id);
    this.check(raft.sets.flat().includes(to), `node ${to} is no voter of group ${id}`);
    await this.pause(10);
    if (raft.leader !== node) throw new Error("NO_LEADER");
    if (!this.isAlive(to) || !this.isNear(raft, to)) throw new Error("TIMEOUT");
    this.counts.transfers++;
    this.lead(raft, to);
  }

  // What has to hold

  /** No change takes a majority of what answers away, as far as it could be known. */
  private checkChange(raft: Raft, after: number[][]): void {
    const what = `group ${raft.id}: ${JSON.stringify(raft.sets)} to ${JSON.stringify(after)}`;
    const union = new Set(raft.sets.flat());
    const then = new Set(after.flat());
    this.check([...then].filter((id) => !union.has(id)).length <= 1, `${what} adds several`);
    const last = new Set(after.at(-1));
    this.check([...union].filter((id) => !last.has(id)).length <= 2, `${what} removes several`);
    const stable = [...union, ...then].every((id) => {
      const { changedAt } = this.node(id);
      return this.time - changedAt > 2 * DETECTION_MS;
    });
    if (!stable || !this.hasMajority(raft)) return;
    if (this.hasMajority(raft, after)) return;
    this.counts.lost++;
    this.check(false, `${what} takes the majority away`);
  }

  private checkConfirmed(id: number, version: number): void {
    const group = groupById(this.fleet, id);
    const raft = this.raft(id);
    if (group?.version !== version || raft.sets.length > 1) return;
    // Whoever confirms has seen the target reached; only a later change may have moved on.
    this.check(sameNodes(raft.sets[0] as number[], group.members), `group ${id} is not there`);
  }

  /** Is every group at its target, confirmed, and led by the first of its members? */
  isSettled(): boolean {
    for (const group of this.fleet.groups.values()) {
      const raft = this.rafts.get(group.id);
      if (raft === undefined || raft.sets.length > 1 || group.confirmed !== group.version) {
        return false;
      }
      if (!sameNodes(raft.sets[0] as number[], group.members)) return false;
      if (!sameNodes(raft.learners, group.learners) || raft.leader !== group.members[0]) {
        return false;
      }
    }
    return true;
  }
}
