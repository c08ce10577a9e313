/**
 * How a node gets into its cluster: goes back to the one that its directory knows, joins the one
 * that a seed knows, or founds one.
 *
 * Invariants, for nodes that start at any time and are killed at any step:
 * - a directory belongs to one cluster for good; seeds that know another one end the attempt;
 * - of nodes with the same seeds, only the one at the smallest address founds, and only after every
 *   seed has answered that it has no cluster: so they become one cluster;
 * - a node that can do neither waits, and says for what.
 */
import { RaftKVError } from "../errors.ts";
import { JOIN_RETRY_MS, JOIN_SAY_MS, SEED_CALL_MS } from "../limits.ts";
import { saysNodeLost } from "../native/failures.ts";

/** What a seed says of itself. */
export interface SeedStatus {
  /** Its id, which tells whether it is this very node. */
  readonly node: number;
  /** Its cluster, 0 = none yet. */
  readonly cluster: number;
}

/** What a node that asks to join is told. */
export interface Admission {
  readonly cluster: number;
}

/** What joining acts through. */
export interface JoinPorts {
  readonly node: number;
  /** Addresses of some nodes of the cluster, as the program gave them. */
  readonly seeds: readonly string[];
  /** The cluster that the directory belongs to, 0 = none yet. */
  cluster(): number;
  /** Is there a replica of the fleet's group in the directory? */
  hasFleet(): boolean;
  /** Makes the fleet's group with this node as its only member, then names the cluster. */
  found(): Promise<void>;
  /** Opens the stored replica of the fleet's group. */
  openFleet(): Promise<void>;
  /** The directory belongs to this cluster from now on. */
  setCluster(cluster: number): Promise<void>;
  /** Asks the node at an address who it is. */
  status(seed: string, timeoutMs: number): Promise<SeedStatus>;
  /** Asks the node at an address to take this node into its cluster. */
  requestAdmission(seed: string, timeoutMs: number): Promise<Admission>;
  /** Tells a node where this one is reached now, and learns where others are. */
  announce(seed: string, timeoutMs: number): Promise<void>;
  /** Resolves to whether the fleet's leader has made this node a member within the time. */
  awaitFleet(timeoutMs: number): Promise<boolean>;
  /** Enters this node into the fleet once; resolves when the entry is known here. */
  register(): Promise<void>;
  /** Waits. */
  pause(milliseconds: number): Promise<void>;
  /** Milliseconds of a clock that never goes back. */
  elapsed(): number;
  /** Tells people what the node waits for. */
  say(message: string): void;
  /** Throws once the node is being closed. */
  checkOpen(): void;
}

/** What was learnt by asking every seed once. */
interface Round {
  /** Seeds that have a cluster. */
  readonly members: { readonly seed: string; readonly cluster: number }[];
  /** Seeds that are this node itself. */
  readonly own: string[];
  /** What to wait for, seed by seed. */
  readonly silent: string[];
  /** Why a seed refused this node for good, if one did. */
  readonly refusal: RaftKVError | undefined;
}

/**
 * Brings the node into its cluster; resolves once it is entered in the fleet. @throws
 * `CLUSTER_MISMATCH` when the seeds belong to another cluster, or the directory to one that this
 * node has left and no seed is given to go back
 */
export async function joinCluster(ports: JoinPorts): Promise<void> {
  if (ports.hasFleet()) return new Join(ports).goBack();
  if (ports.seeds.length > 0) return new Join(ports).enter();
  if (ports.cluster() !== 0) {
    throw new RaftKVError(
      "CLUSTER_MISMATCH",
      "this data directory belongs to a cluster that this node has left, and no seeds are given: " +
        "give the address of a node of that cluster as a seed, or use an empty directory",
    );
  }
  await ports.found();
  await new Join(ports).register();
}

class Join {
  private readonly ports: JoinPorts;
  private saidAt = Number.NEGATIVE_INFINITY;
  private said = "";

  constructor(ports: JoinPorts) {
    this.ports = ports;
  }

  /** The directory holds a replica of the fleet: the cluster is there, perhaps at other addresses. */
  async goBack(): Promise<void> {
    const { ports } = this;
    // Before anything of an old majority can come back to life here.
    const announced = this.announceEverywhere();
    const refusal = await announced;
    if (saysNodeLost(refusal)) throw refusal;
    // A founder that was killed before it had named its cluster goes on where it stopped.
    if (ports.cluster() === 0) await ports.found();
    else await ports.openFleet();
    await this.register(announced);
  }

  /** Enters the node into the fleet, however long it takes until the fleet has a leader. */
  async register(announced = this.announceEverywhere()): Promise<void> {
    const { ports } = this;
    let refusal = await announced;
    for (;;) {
      ports.checkOpen();
      if (saysNodeLost(refusal)) throw refusal;
      try {
        return await ports.register();
      } catch (error) {
        if (!isTransient(error)) throw error;
        if (refusal !== undefined) throw refusal;
        this.say(`the fleet has no leader yet: ${reasonOf(error)}`);
      }
      await ports.pause(JOIN_RETRY_MS);
      refusal = await this.announceEverywhere();
    }
  }

  /** No cluster is known here but through the seeds. */
  async enter(): Promise<void> {
    const { ports } = this;
    for (;;) {
      ports.checkOpen();
      const round = await this.ask();
      const known = this.sameCluster(round);
      if (known === undefined && round.refusal !== undefined) throw round.refusal;
      if (known !== undefined) {
        if (await this.joinThrough(round)) return this.register();
      } else if (this.mayFound(round)) {
        await ports.found();
        return this.register();
      } else {
        this.say(waitingFor(ports.seeds, round));
      }
      await ports.pause(JOIN_RETRY_MS);
    }
  }

  /** Asks all seeds at once. */
  private async ask(): Promise<Round> {
    const { ports } = this;
    const round = { members: [], own: [], silent: [] } as Omit<Round, "refusal">;
    let refusal: RaftKVError | undefined;
    const one = async (seed: string) => {
      try {
        const { node, cluster } = await ports.status(seed, SEED_CALL_MS);
        if (node === ports.node) round.own.push(seed);
        else if (cluster !== 0) round.members.push({ seed, cluster });
      } catch (error) {
        if (isMismatch(error)) refusal = error;
        round.silent.push(seed);
      }
    };
    await Promise.all(ports.seeds.map(one));
    return { ...round, refusal };
  }

  /** The one cluster that the seeds know, if any. */
  private sameCluster(round: Round): number | undefined {
    const clusters = new Set(round.members.map(({ cluster }) => cluster));
    const own = this.ports.cluster();
    if (own !== 0) clusters.add(own);
    if (clusters.size > 1) {
      throw new RaftKVError(
        "CLUSTER_MISMATCH",
        `the seeds ${this.ports.seeds.join(", ")} and this data directory belong to different ` +
          "clusters; give seeds of one cluster, or an empty directory to join another",
      );
    }
    return round.members[0]?.cluster;
  }

  private mayFound(round: Round): boolean {
    const { seeds } = this.ports;
    if (this.ports.cluster() !== 0 || round.silent.length > 0) return false;
    const first = [...seeds].sort()[0];
    return first !== undefined && round.own.includes(first);
  }

  /** Has a member of the cluster take this node in; false: to be tried again. */
  private async joinThrough(round: Round): Promise<boolean> {
    const { ports } = this;
    for (const { seed } of round.members) {
      try {
        const { cluster } = await ports.requestAdmission(seed, SEED_CALL_MS * 4);
        await ports.setCluster(cluster);
        if (await ports.awaitFleet(SEED_CALL_MS * 4)) return true;
        this.say(`the cluster of ${seed} knows this node; waiting for the fleet's leader`);
        return false;
      } catch (error) {
        if (!isTransient(error)) throw error;
        this.say(`${seed} could not take this node in yet: ${reasonOf(error)}`);
      }
    }
    return false;
  }

  /** Tells every seed where this node is now; gives why one refused it for good. */
  private async announceEverywhere(): Promise<RaftKVError | undefined> {
    const { ports } = this;
    let refusal: RaftKVError | undefined;
    const one = (seed: string) =>
      ports.announce(seed, SEED_CALL_MS).catch((error: unknown) => {
        if (isMismatch(error)) refusal = error;
      });
    await Promise.all(ports.seeds.map(one));
    return refusal;
  }

  /** Says something new at once, and the same again only now and then. */
  private say(message: string): void {
    const now = this.ports.elapsed();
    if (message === this.said && now - this.saidAt < JOIN_SAY_MS) return;
    this.said = message;
    this.saidAt = now;
    this.ports.say(message);
  }
}

function waitingFor(seeds: readonly string[], { own, silent }: Round): string {
  if (silent.length > 0) return `waiting for the seeds ${silent.join(", ")} to answer`;
  const first = [...seeds].sort()[0];
  if (own.length > 0) return `waiting for ${first}, the first of the seeds, to start the cluster`;
  return (
    `none of the seeds ${seeds.join(", ")} has a cluster yet, and this node is not one of them; ` +
    "waiting for them to start one"
  );
}

function isMismatch(error: unknown): error is RaftKVError {
  return error instanceof RaftKVError && error.code === "CLUSTER_MISMATCH";
}

/** May the same succeed a little later? */
function isTransient(error: unknown): boolean {
  return error instanceof RaftKVError && error.action === "retry";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
