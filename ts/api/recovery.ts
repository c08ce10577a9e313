/**
 * The last resort of an operator: groups and fleet go on without nodes that are lost for good, also
 * where a majority was on them (`RaftFleet.recoverGroups`).
 *
 * Steps, each of which may be repeated after a crash of any node: nobody may reach a lost node; all
 * survivors refuse them from then on, durably; the fleet's own group is brought back, so that what
 * the fleet knows is the newest there is; then every other group; last, the fleet drops the nodes,
 * and the usual balancing fills up replicas.
 */

import type { RecoveredGroup, RecoveryResult } from "../admin/types.ts";
import { isEstablished } from "../client/established.ts";
import { pause } from "../client/pause.ts";
import type { HostCalls } from "../cluster/calls.ts";
import { type GroupFacts, type Holding, recoveryStep } from "../cluster/recovery-plan.ts";
import { RaftKVError } from "../errors.ts";
import { FLEET_GROUP, FLEET_NAME, type FleetGroup, groupById, isPartOf } from "../fleet/state.ts";
import {
  HOLDINGS_CALL_MS,
  LOST_CALL_MS,
  LOST_NAMES_MS,
  LOST_NAMES_POLL_MS,
  RECOVER_CALL_MS,
  RECOVERY_PAUSE_MS,
  RECOVERY_WAIT_MS,
} from "../limits.ts";
import type { Core } from "./core.ts";
import { invalidOption, isRecord, judged, shown } from "./option-values.ts";

/** Type of the call by which survivors are asked to take part. */
const CALL = "recovery";

type Request =
  | { readonly step: "reach"; readonly lost: readonly number[] }
  | { readonly step: "giveUp"; readonly lost: readonly number[] }
  | { readonly step: "holdings" }
  | {
      readonly step: "force";
      readonly group: number;
      readonly term: number;
      readonly members: readonly number[];
    };

/** What a node holds, group by group. */
type Holdings = readonly (readonly [group: number, holding: Holding | null])[];

/** What the survivors answered, and who did not. */
interface Survey {
  readonly byGroup: ReadonlyMap<number, ReadonlyMap<number, Holding | null>>;
  readonly silent: ReadonlySet<number>;
}

/** See the head of this file. */
export class GroupRecovery {
  private readonly core: Core;
  private readonly calls: HostCalls;

  constructor(core: Core, calls: HostCalls) {
    this.core = core;
    this.calls = calls;
    calls.handle(CALL, (message) => this.answer(message as unknown as Request));
  }

  /** See `RaftFleet.recoverGroups`. */
  async recover(options: unknown): Promise<RecoveryResult> {
    const names = checkedNames(options);
    const { core } = this;
    let lost = await this.resolveSoon(names);
    await this.checkNobodyReaches(lost);
    await this.ask(lost, { step: "giveUp", lost: [...lost] }, LOST_CALL_MS);
    const [fleet] = await this.settle(lost, () => [FLEET_GROUP]);
    if (fleet?.action === "waiting") {
      throw new RaftKVError("NO_LEADER", `the fleet cannot be recovered yet: ${fleet.explanation}`);
    }
    await core.cluster.joinedAgain();
    // A command that changes nothing comes back once the fleet's state here is the present one.
    await core.fleetCommand({ type: "balance", limit: 0 });
    lost = this.resolve(names);
    const affected = () => {
      const groups = [...core.fleet.groups.values()].filter(({ state }) => state === "active");
      return groups.map(({ id }) => id).filter((id) => id !== FLEET_GROUP);
    };
    const groups = await this.settle(lost, affected);
    await core.fleetCommand({ type: "dropLostNodes", nodes: [...lost] });
    const concerned = [...(fleet === undefined ? [] : [fleet]), ...groups];
    return { droppedNodes: names, groups: concerned };
  }

  /** A node that was just opened has its log yet to read before it knows of the others. */
  private async resolveSoon(names: readonly string[]): Promise<ReadonlySet<number>> {
    const end = performance.now() + LOST_NAMES_MS;
    for (;;) {
      this.core.checkOpen();
      try {
        return this.resolve(names);
      } catch (error) {
        if (this.core.cluster.isJoined || performance.now() > end) throw error;
        await pause(LOST_NAMES_POLL_MS);
      }
    }
  }

  /** The ids of the lost nodes, those dropped before included. */
  private resolve(names: readonly string[]): ReadonlySet<number> {
    const { nodes, lost } = this.core.fleet;
    const known = new Map([...lost].map(([id, name]) => [name, id]));
    for (const { id, name } of nodes.values()) known.set(name, id);
    const found = names.map((name) => {
      const id = known.get(name);
      if (id !== undefined && id !== this.core.nodeId) return id;
      const problem = id === undefined ? "is no node of this cluster" : "is this very node";
      const others = [...nodes.values()].filter((node) => node.id !== this.core.nodeId);
      throw new RaftKVError(
        "INVALID_OPTION",
        `lostNodes names ${shown(name)}, which ${problem}; the others are ` +
          `${others.map((node) => node.name).join(", ") || "none"}`,
      );
    });
    return new Set(found);
  }

  private survivors(lost: ReadonlySet<number>): number[] {
    return [...this.core.fleet.nodes.keys()].filter((node) => !lost.has(node));
  }

  private async checkNobodyReaches(lost: ReadonlySet<number>): Promise<void> {
    const answers = await this.ask(lost, { step: "reach", lost: [...lost] }, LOST_CALL_MS * 2);
    for (const [survivor, reached] of answers) {
      const [node] = (reached ?? []) as readonly number[];
      if (node === undefined) continue;
      throw new RaftKVError(
        "INVALID_OPTION",
        `${this.core.nameOf(node)} is not lost: it answers ${this.core.nameOf(survivor)}. ` +
          "Stop its process for good first, or leave it out",
        { node: this.core.nameOf(node) },
      );
    }
  }

  /** Asks every survivor, this node included; `undefined`: no answer. */
  private async ask(
    lost: ReadonlySet<number>,
    request: Request,
    timeoutMs: number,
  ): Promise<Map<number, unknown>> {
    const answers = new Map<number, unknown>();
    const one = async (node: number) => {
      answers.set(node, await this.send(node, request, timeoutMs).catch(() => undefined));
    };
    await Promise.all(this.survivors(lost).map(one));
    return answers;
  }

  private async send(node: number, request: Request, timeoutMs: number): Promise<unknown> {
    if (node === this.core.nodeId) return this.answer(request);
    return this.calls.call(node, { type: CALL, ...request }, timeoutMs);
  }

  private async survey(lost: ReadonlySet<number>): Promise<Survey> {
    const answers = await this.ask(lost, { step: "holdings" }, HOLDINGS_CALL_MS);
    const byGroup = new Map<number, Map<number, Holding | null>>();
    const silent = new Set<number>();
    for (const [node, holdings] of answers) {
      if (holdings === undefined) silent.add(node);
      for (const [group, holding] of (holdings ?? []) as Holdings) {
        const held = byGroup.get(group) ?? new Map();
        byGroup.set(group, held.set(node, holding));
      }
    }
    return { byGroup, silent };
  }

  /** Looks at groups until each is led, forced or lost, within limits. */
  private async settle(
    lost: ReadonlySet<number>,
    groups: () => readonly number[],
  ): Promise<RecoveredGroup[]> {
    const end = performance.now() + RECOVERY_WAIT_MS;
    const results = new Map<number, RecoveredGroup>();
    for (;;) {
      const survey = await this.survey(lost);
      const late = performance.now() >= end;
      const open = groups().filter((id) => !results.has(id));
      const one = async (id: number) => {
        const result = await this.treat(id, lost, survey, late);
        if (result !== undefined) results.set(id, result);
      };
      await Promise.all(open.map(one));
      if (open.every((id) => results.has(id))) break;
      await pause(RECOVERY_PAUSE_MS, undefined);
      this.core.checkOpen();
    }
    const concerned = ([id, { action }]: [number, RecoveredGroup]) =>
      action !== "kept" || [...lost].some((node) => this.concerns(id, node));
    return [...results].filter(concerned).map(([, result]) => result);
  }

  private concerns(id: number, node: number): boolean {
    const group = groupById(this.core.fleet, id);
    return group !== undefined && isPartOf(group, node);
  }

  /** Does what is to be done about a group; `undefined`: to be looked at again. */
  private async treat(
    id: number,
    lost: ReadonlySet<number>,
    { byGroup, silent }: Survey,
    late: boolean,
  ): Promise<RecoveredGroup | undefined> {
    const { core } = this;
    const group = groupById(core.fleet, id);
    const holdings = byGroup.get(id) ?? new Map<number, Holding | null>();
    const facts: GroupFacts = {
      holdings,
      known: nodesOf(group),
      created: group?.created ?? true,
      isLost: (node) => lost.has(node),
      isSilent: (node) => silent.has(node),
    };
    const step = recoveryStep(facts);
    const name = group?.name ?? (id === FLEET_GROUP ? FLEET_NAME : `${id}`);
    switch (step.type) {
      case "kept":
        return outcome(name, "kept", "a majority of its replicas survived: nothing is lost");
      case "lost":
        return outcome(
          name,
          "lost",
          "no survivor has a replica: remove the group, its data is gone",
        );
      case "wait": {
        if (!late && step.silent.length === 0) return undefined;
        const nodes = step.silent.map((node) => core.nameOf(node)).join(", ");
        const advice = nodes === "" ? "" : ` (${nodes}): start them, or name them as lost as well`;
        return outcome(name, "waiting", `${step.why}${advice}; then call recoverGroups again`);
      }
      case "force":
        return this.force(id, name, step, holdings, late);
    }
  }

  private async force(
    id: number,
    name: string,
    { node, term, members }: { node: number; term: number; members: readonly number[] },
    holdings: ReadonlyMap<number, Holding | null>,
    late: boolean,
  ): Promise<RecoveredGroup | undefined> {
    const { core } = this;
    try {
      await this.send(node, { step: "force", group: id, term, members }, RECOVER_CALL_MS);
    } catch (error) {
      if (!late) return undefined;
      const reason = error instanceof Error ? error.message : String(error);
      const where = core.nameOf(node);
      return outcome(name, "waiting", `${where} could not take it over (${reason}); call again`);
    }
    const lastIndex = holdings.get(node)?.lastIndex ?? 0;
    const from = core.nameOf(node);
    core.log("warn", `group ${name} goes on with what ${from} had, up to entry ${lastIndex}`);
    const explanation =
      `a majority of its replicas is lost: it goes on with what ${from} had, up to entry ` +
      `${lastIndex}; later ones that only lost nodes had are gone`;
    return { ...outcome(name, "recovered", explanation), node: from, lastIndex };
  }

  private answer(request: Request): Promise<unknown> {
    switch (request.step) {
      case "reach":
        return this.reached(request.lost);
      case "giveUp":
        return this.core.engine.giveUpNodes(request.lost);
      case "holdings":
        return this.holdings();
      case "force":
        return this.forceHere(request.group, request.term, request.members);
    }
  }

  /** Those of these nodes that answer this one. */
  private async reached(nodes: readonly number[]): Promise<number[]> {
    const one = async (node: number) => {
      const call = this.calls.call(node, { type: "status" }, LOST_CALL_MS);
      return call.then(() => [node]).catch(() => []);
    };
    return (await Promise.all(nodes.map(one))).flat();
  }

  private async holdings(): Promise<Holdings> {
    const { core } = this;
    const groups = [...core.groups.storedGroups()];
    if (core.host.replica(FLEET_GROUP) !== undefined) groups.push(FLEET_GROUP);
    return Promise.all(groups.map(async (id) => [id, await this.holding(id)] as const));
  }

  private async holding(id: number): Promise<Holding | null> {
    const { core } = this;
    try {
      const status = await core.engine.groupStatus(id);
      const replica = core.host.replica(id);
      const established = replica !== undefined && (await isEstablished(replica));
      const { term, lastTerm, lastIndex, voterSets, bound } = status;
      const members = status.members.map(({ node }) => node);
      return { term, lastTerm, lastIndex, voterSets, members, bound, established };
    } catch {
      return null;
    }
  }

  private async forceHere(id: number, term: number, nodes: readonly number[]): Promise<void> {
    const { core } = this;
    const addresses = core.fleet.nodes;
    const members = nodes.map((node) => ({ node, address: addresses.get(node)?.address ?? "" }));
    const force = async () => {
      await core.engine.recoverGroup(id, term, members);
    };
    if (id === FLEET_GROUP) await core.cluster.reopenFleet(force);
    else await core.groups.reopen(id, force);
  }
}

function nodesOf(group: FleetGroup | undefined): readonly number[] {
  return group === undefined ? [] : [...group.members, ...group.learners, ...group.leaving];
}

function outcome(
  group: string,
  action: RecoveredGroup["action"],
  explanation: string,
): RecoveredGroup {
  const mayHaveLostData = action === "recovered" || action === "lost";
  return { group, action, node: null, lastIndex: null, mayHaveLostData, explanation };
}

/** Judges what the program gave. @throws `INVALID_OPTION` */
function checkedNames(options: unknown): string[] {
  return judged("INVALID_OPTION", "The argument of recoverGroups", () => {
    if (!isRecord(options)) {
      throw invalidOption("The argument", options, "{ lostNodes, acceptDataLoss: true }");
    }
    const { lostNodes, acceptDataLoss } = options;
    if (acceptDataLoss !== true) {
      const what = "true: entries that only the lost nodes had are given up, acknowledged or not";
      throw invalidOption("acceptDataLoss", acceptDataLoss, what);
    }
    const names = Array.isArray(lostNodes) ? lostNodes : [];
    if (names.length === 0 || !names.every((name) => typeof name === "string")) {
      throw invalidOption("lostNodes", lostNodes, "an array of names of nodes");
    }
    return [...new Set(names as string[])];
  });
}
