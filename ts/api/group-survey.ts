/** Asks every node how its replicas stand, and finds the groups that nobody leads. */
import { isEstablished } from "../client/established.ts";
import type { HostCalls } from "../cluster/calls.ts";
import type { FleetGroup } from "../fleet/state.ts";
import { SURVEY_CALL_MS } from "../limits.ts";
import type { Core } from "./core.ts";

/** Type of the call by which a node is asked. */
const CALL = "replicas";

/** How a group's member stands that is not led, as people read it. */
export type MemberState = "no leader" | "module not bound" | "no replica" | "unreachable";

/** A group without an established leader, and how each of its members stands. */
export type GroupWithoutLeader = readonly [
  group: string,
  members: readonly { readonly node: string; readonly state: MemberState }[],
];

/** What a node says of its replicas: which groups it leads, and how the others stand. */
interface NodeReport {
  readonly leads: readonly number[];
  readonly others: readonly (readonly [group: number, state: MemberState])[];
}

/** See the head of this file. */
export class GroupSurvey {
  private readonly core: Core;
  private readonly calls: HostCalls;

  constructor(core: Core, calls: HostCalls) {
    this.core = core;
    this.calls = calls;
    calls.handle(CALL, () => this.report());
  }

  /** The groups that no node says it leads. */
  async groupsWithoutLeader(): Promise<GroupWithoutLeader[]> {
    const { core } = this;
    const groups = [...core.fleet.groups.values()].filter(
      ({ state, system }) => state === "active" && !system,
    );
    const reports = await this.ask(new Set(groups.flatMap(({ members }) => members)));
    const led = new Set([...reports.values()].flatMap((report) => report?.leads ?? []));
    const states = new Map(
      [...reports].map(([node, report]) => [node, report && new Map(report.others)]),
    );
    const stateOf = (node: number, { id }: FleetGroup): MemberState => {
      const known = states.get(node);
      return known === undefined ? "unreachable" : (known.get(id) ?? "no replica");
    };
    return groups
      .filter(({ id }) => !led.has(id))
      .map((group) => [
        group.name,
        group.members.map((node) => ({ node: core.nameOf(node), state: stateOf(node, group) })),
      ]);
  }

  private async ask(nodes: ReadonlySet<number>): Promise<Map<number, NodeReport | undefined>> {
    const reports = new Map<number, NodeReport | undefined>();
    const one = async (node: number) => {
      const report =
        node === this.core.nodeId
          ? await this.report()
          : await this.calls.call(node, { type: CALL }, SURVEY_CALL_MS).catch(() => undefined);
      reports.set(node, report as NodeReport | undefined);
    };
    await Promise.all([...nodes].map(one));
    return reports;
  }

  private async report(): Promise<NodeReport> {
    const { host, groups } = this.core;
    const leads: number[] = [];
    const others: [number, MemberState][] = [];
    const one = async (id: number) => {
      const replica = host.replica(id);
      if (replica === undefined) others.push([id, "module not bound"]);
      else if (await isEstablished(replica)) leads.push(id);
      else others.push([id, "no leader"]);
    };
    await Promise.all([...groups.storedGroups()].map(one));
    return { leads, others };
  }
}
