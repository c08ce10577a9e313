/** Asks the nodes that lead shards how these stand: voters, keys, size, and what they are in. */
import type { HostCalls } from "../cluster/calls.ts";
import { SHARDS_PER_SURVEY_CALL, SURVEY_CALL_MS } from "../limits.ts";
import type { ShardMachine } from "../shard/machine.ts";
import type { Core } from "./core.ts";

/** Type of the call by which a node is asked. */
const CALL = "shards";

/** How a shard stands, as its leader says. */
export interface ShardStanding {
  readonly group: number;
  /** Node ids of the voters now, those of the target first and in its order. */
  readonly voters: readonly number[];
  readonly keys: number;
  readonly size: number;
  /** `serving`, or what it does in a split or merge. */
  readonly state: string;
}

/** See the head of this file. */
export class ShardSurvey {
  private readonly core: Core;
  private readonly calls: HostCalls;

  constructor(core: Core, calls: HostCalls) {
    this.core = core;
    this.calls = calls;
    calls.handle(CALL, ({ groups }) => this.report(groups as readonly number[]));
  }

  /**
   * How those of these groups stand whose leader answers; `leaders` has a node for each, 0 = none.
   * A node is asked for many at a time, one call after the other.
   */
  async ask(leaders: ReadonlyMap<number, number>): Promise<Map<number, ShardStanding>> {
    const byNode = new Map<number, number[]>();
    for (const [group, node] of leaders) {
      if (node === 0) continue;
      const groups = byNode.get(node);
      if (groups === undefined) byNode.set(node, [group]);
      else groups.push(group);
    }
    const found = new Map<number, ShardStanding>();
    const one = async ([node, groups]: [number, number[]]) => {
      for (let at = 0; at < groups.length; at += SHARDS_PER_SURVEY_CALL) {
        const some = groups.slice(at, at + SHARDS_PER_SURVEY_CALL);
        const answer = await this.askNode(node, some);
        // A node that is silent once is not waited for again.
        if (answer === undefined) return;
        for (const standing of answer) found.set(standing.group, standing);
      }
    };
    await Promise.all([...byNode].map(one));
    return found;
  }

  private async askNode(
    node: number,
    groups: readonly number[],
  ): Promise<readonly ShardStanding[] | undefined> {
    if (node === this.core.nodeId) return this.report(groups);
    const answer = this.calls.call(node, { type: CALL, groups }, SURVEY_CALL_MS);
    return (await answer.catch(() => undefined)) as readonly ShardStanding[] | undefined;
  }

  private async report(groups: readonly number[]): Promise<ShardStanding[]> {
    const { host, engine, fleet } = this.core;
    const one = async (group: number): Promise<ShardStanding[]> => {
      const replica = host.replica(group);
      const status = await engine.groupStatus(group).catch(() => undefined);
      if (!replica?.leading || status === undefined) return [];
      const machine = replica.machine as ShardMachine;
      const { keys, size } = machine.statistics();
      const voters = status.members.filter(({ voter }) => voter).map(({ node }) => node);
      const target = fleet.groups.byId(group)?.members ?? [];
      const others = voters.filter((node) => !target.includes(node)).sort((a, b) => a - b);
      const ordered = [...target.filter((node) => voters.includes(node)), ...others];
      return [{ group, voters: ordered, keys, size, state: machine.statusName }];
    };
    const asked = groups.slice(0, SHARDS_PER_SURVEY_CALL);
    return (await Promise.all(asked.map(one))).flat();
  }
}
