/**
 * What each node says of itself to whoever administers the cluster, through any node: which groups
 * it leads, how its process does, and how far the members of its groups have caught up.
 */
import { isEstablished } from "../client/established.ts";
import { pause } from "../client/pause.ts";
import type { HostCalls } from "../cluster/calls.ts";
import type { Host } from "../host/host.ts";
import { ADMIN_CALL_MS, ADMIN_POLL_MS, MEMBER_LAG_MAX, VERIFY_CALL_MS } from "../limits.ts";
import type { NativeEngine } from "../native/engine.ts";
import { VERSION } from "../version.ts";

/** Types of the calls between nodes. */
const CALL = {
  report: "admin.report",
  leads: "admin.leads",
  quorums: "admin.quorums",
  details: "admin.details",
  checksum: "admin.checksum",
} as const;

/** What a node says of itself. */
export interface NodeReport {
  /** Groups that it leads, with a majority behind it. */
  readonly leads: readonly number[];
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly requestsInFlight: number;
}

/** The voters of a group, as its leader sees them. */
export interface Quorum {
  readonly group: number;
  /** Are the voters being changed? */
  readonly changing: boolean;
  readonly voters: readonly { readonly node: number; readonly caughtUp: boolean }[];
}

/** A state of a group's replica: that after the entry with this index. */
export interface CheckedState {
  readonly group: number;
  readonly index: number;
}

/** What reports need of the node. */
export interface ReportsContext {
  readonly node: number;
  readonly host: Host;
  readonly engine: NativeEngine;
  readonly calls: HostCalls;
  /** The groups of which there is a replica here. */
  storedGroups(): Iterable<number>;
  requestsInFlight(): number;
  /** Everything that is known here and helps to find out what is wrong; no secrets. */
  details(): Promise<unknown>;
}

/** See the head of this file. */
export class NodeReports {
  private readonly context: ReportsContext;

  constructor(context: ReportsContext) {
    this.context = context;
    const { calls } = context;
    calls.handle(CALL.report, () => this.report());
    calls.handle(CALL.leads, async () => this.leads());
    calls.handle(CALL.quorums, ({ groups }) => this.quorums(groups as readonly number[]));
    calls.handle(CALL.details, () => context.details());
    calls.handle(CALL.checksum, (message) => this.checksum(message as unknown as CheckedState));
  }

  /** The reports of these nodes; `undefined` for one that does not answer. */
  reports(nodes: Iterable<number>): Promise<Map<number, NodeReport | undefined>> {
    return this.ask(nodes, CALL.report, {}, () => this.report());
  }

  /**
   * Which of these nodes says of itself that it leads a group. No majority is asked for it, and so
   * no group woken; a node that does not answer leads nothing here.
   */
  async leaders(nodes: Iterable<number>): Promise<Map<number, number>> {
    const answers = await this.ask(nodes, CALL.leads, {}, async () => this.leads());
    const leaders = new Map<number, number>();
    for (const [node, groups] of answers) {
      for (const group of groups ?? []) leaders.set(group, node);
    }
    return leaders;
  }

  /** The voters of those of these groups that a node leads which answers. */
  async quorumsOf(
    nodes: Iterable<number>,
    groups: readonly number[],
  ): Promise<Map<number, Quorum>> {
    const own = () => this.quorums(groups);
    const answers = await this.ask<readonly Quorum[]>(nodes, CALL.quorums, { groups }, own);
    const found = new Map<number, Quorum>();
    for (const quorums of answers.values()) {
      for (const quorum of quorums ?? []) found.set(quorum.group, quorum);
    }
    return found;
  }

  /** What helps to find out what is wrong on these nodes. */
  details(nodes: Iterable<number>): Promise<Map<number, unknown>> {
    return this.ask(nodes, CALL.details, {}, () => this.context.details());
  }

  /** The checksums that replicas on these nodes had; `null` for one that has none. */
  checksums(
    nodes: Iterable<number>,
    state: CheckedState,
  ): Promise<Map<number, string | null | undefined>> {
    return this.ask(nodes, CALL.checksum, state, () => this.checksum(state), VERIFY_CALL_MS);
  }

  private async ask<T>(
    nodes: Iterable<number>,
    type: string,
    message: object,
    own: () => Promise<T>,
    timeoutMs: number = ADMIN_CALL_MS,
  ): Promise<Map<number, T | undefined>> {
    const answers = new Map<number, T | undefined>();
    const one = async (node: number) => {
      const { calls } = this.context;
      const answer =
        node === this.context.node
          ? own()
          : (calls.call(node, { type, ...message }, timeoutMs) as Promise<T>);
      answers.set(node, await answer.catch(() => undefined));
    };
    await Promise.all([...nodes].map(one));
    return answers;
  }

  /** The checksum at an index, once this node's replica has come there. */
  private async checksum({ group, index }: CheckedState): Promise<string | null> {
    const { host } = this.context;
    const end = performance.now() + VERIFY_CALL_MS;
    for (;;) {
      const replica = host.replica(group);
      if (replica === undefined || performance.now() > end) return null;
      if (replica.applied >= index) {
        const result = await host.checks.result(replica, index);
        return result?.checksum ?? null;
      }
      await pause(ADMIN_POLL_MS);
    }
  }

  private leads(): number[] {
    const { host, storedGroups } = this.context;
    return [...storedGroups()].filter((group) => host.replica(group)?.leading === true);
  }

  private async report(): Promise<NodeReport> {
    const { host, engine, storedGroups, requestsInFlight } = this.context;
    const leads: number[] = [];
    const one = async (group: number) => {
      const replica = host.replica(group);
      if (replica !== undefined && (await isEstablished(replica))) leads.push(group);
    };
    await Promise.all([...storedGroups()].map(one));
    return {
      leads,
      version: VERSION,
      uptimeSeconds: Math.round(process.uptime()),
      memoryBytes: process.memoryUsage.rss(),
      diskBytes: engine.statistics().journalDiskBytes,
      requestsInFlight: requestsInFlight(),
    };
  }

  private async quorums(groups: readonly number[]): Promise<Quorum[]> {
    const { host, engine, node } = this.context;
    const one = async (group: number): Promise<Quorum[]> => {
      const replica = host.replica(group);
      if (replica === undefined || !(await isEstablished(replica))) return [];
      const { members, lastIndex, changing } = await engine.groupStatus(group);
      const voters = members
        .filter(({ voter }) => voter)
        .map((member) => ({
          node: member.node,
          caughtUp: member.node === node || (member.matching ?? 0) + MEMBER_LAG_MAX >= lastIndex,
        }));
      return [{ group, changing, voters }];
    };
    return (await Promise.all(groups.map(one))).flat();
  }
}
