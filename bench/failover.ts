/** How long callers wait when the process that leads a shard dies, hands over, or leaves. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RaftKVError } from "raft-kv";
import { type Cluster, leaderOf, type Member, until } from "./contenders/cluster.ts";
import type { Measure } from "./suite.ts";

const CLIENTS = 16;
/** Waits that are shorter tell nothing about a change of leaders, in milliseconds. */
const WAIT_KEPT_MS = 5;
/** How far from a change of leaders a wait still belongs to it, in milliseconds. */
const NEAR_MS = 250;
/** How long the load runs before and after what is measured, in milliseconds. */
const CALM_MS = 1000;

/** The longest waits of one round, in milliseconds. */
export interface FailoverFigures {
  /** From SIGKILL of the leader's process to the next command, called after it, that succeeds. */
  readonly failover: number;
  /** The longest call around the hand-over to a leader that came back. */
  readonly transfer: number;
  /** The longest call while the leader's node leaves by `deactivate`. */
  readonly deactivate: number;
  /** The longest call of an undisturbed second. */
  readonly calm: number;
  /** Calls that failed in spite of their retries, by code. */
  readonly failed: Readonly<Record<string, number>>;
}

/** Commands of some clients, one after the other, with their longer waits. */
class Load {
  readonly waits: { start: number; end: number }[] = [];
  readonly failed: Record<string, number> = {};
  private running = true;
  private readonly clients: readonly Promise<void>[];

  constructor({ ledElsewhere }: Cluster) {
    this.clients = Array.from({ length: CLIENTS }, async (_, client) => {
      while (this.running) {
        const start = performance.now();
        try {
          await ledElsewhere.keyspace.command(`key-${client}`, { set: "again" });
        } catch (error) {
          const { code } = error as RaftKVError;
          this.failed[code] = (this.failed[code] ?? 0) + 1;
        }
        const end = performance.now();
        if (end - start > WAIT_KEPT_MS) this.waits.push({ start, end });
        // Leaves the machine room for elections: what counts here is waiting, not throughput.
        await sleep(1);
      }
    });
  }

  /** The longest call of which a part lies in a span of time. */
  longest(from: number, to: number): number {
    const inside = this.waits.filter(({ start, end }) => end >= from && start <= to);
    return inside.reduce((most, { start, end }) => Math.max(most, end - start), 0);
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.clients);
  }
}

/** One round; the cluster is whole and led as before at its end. */
export async function measureFailover(cluster: Cluster): Promise<FailoverFigures> {
  const { node, ledElsewhere, ledHere, members } = cluster;
  const keyspace = ledElsewhere.keyspace.name;
  const keyspaces = [ledHere.keyspace.name, keyspace];
  const name = await leaderOf(node, keyspace);
  const leader = members.find((member) => member.name === name);
  if (leader === undefined) throw new Error(`${name} leads, which is no other process`);
  const failover = await killed(cluster, leader);

  const load = new Load(cluster);
  const changes: number[] = [];
  const group = `${keyspace}_0`;
  const note = (change: { group: string; node: string | null }) => {
    if (change.group.includes(group) && change.node === leader.name) {
      changes.push(performance.now());
    }
  };
  node.kv.events.on("leaderChange", note);
  try {
    await leader.start(keyspaces);
    await until("the old leader to lead again", async () => changes.length > 0);
    await sleep(CALM_MS);
    const handedOver = changes[0] ?? 0;
    const transfer = load.longest(handedOver - NEAR_MS, handedOver + NEAR_MS);
    const leaving = performance.now();
    const calm = load.longest(leaving - CALM_MS / 2, leaving);
    await leader.ask({ call: "deactivate" });
    await sleep(CALM_MS);
    const deactivate = load.longest(leaving, performance.now());
    await leader.ask({ call: "activate", keyspaces });
    await until("the leader to lead again", async () => {
      return (await leaderOf(node, keyspace)) === leader.name;
    });
    return { failover, transfer, deactivate, calm, failed: load.failed };
  } finally {
    node.kv.events.off("leaderChange", note);
    await load.stop();
  }
}

async function killed({ ledElsewhere }: Cluster, leader: Member): Promise<number> {
  const start = performance.now();
  await leader.kill();
  for (;;) {
    try {
      await ledElsewhere.keyspace.command("key-0", { set: "after" });
      return performance.now() - start;
    } catch {
      // Its retries were used up; the next call goes on waiting.
    }
  }
}

/** The rounds' figures. */
export function failoverMeasures(rounds: readonly FailoverFigures[]): Measure[] {
  const values = (name: "failover" | "transfer" | "deactivate" | "calm") =>
    rounds.map((round) => round[name]);
  const failed = rounds.map((round) => Object.values(round.failed).reduce((a, b) => a + b, 0));
  const unit = "ms";
  return [
    {
      what: "SIGKILL of a leader to the next acknowledged command",
      unit,
      values: values("failover"),
      goal: 2500,
    },
    { what: "longest call, leader transferred", unit, values: values("transfer"), goal: 200 },
    { what: "longest call, leader deactivated", unit, values: values("deactivate"), goal: 200 },
    { what: "longest call, undisturbed", unit, values: values("calm") },
    { what: "calls that failed", unit: "calls", values: failed },
  ];
}
