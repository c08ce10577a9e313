/** Nodes that start at any time, are killed at any step and start again become one cluster. */
import { describe, expect, it } from "vitest";
import { type JoinPorts, joinCluster } from "../../ts/cluster/joining.ts";
import { RaftKVError } from "../../ts/errors.ts";
import { seeded } from "../node/support/random.ts";

class Killed extends Error {}

/** What survives a kill. */
interface Disk {
  cluster: number;
  fleet: boolean;
}

/** A simulated network of processes by address; each call may be lost, and any step may kill. */
class World {
  readonly random: () => number;
  readonly running = new Map<string, Process>();
  /** Members of each cluster, as its fleet knows. */
  readonly fleets = new Map<number, Set<number>>();
  readonly said: string[] = [];
  nextCluster = 1000;
  killing = true;

  constructor(seed: number) {
    this.random = seeded(seed);
  }
}

class Process implements JoinPorts {
  alive = true;
  readonly world: World;
  readonly node: number;
  readonly address: string;
  readonly seeds: readonly string[];
  readonly disk: Disk;

  constructor(world: World, node: number, address: string, seeds: readonly string[], disk: Disk) {
    this.world = world;
    this.node = node;
    this.address = address;
    this.seeds = seeds;
    this.disk = disk;
  }

  cluster = () => this.disk.cluster;
  hasFleet = () => this.disk.fleet;

  async found(): Promise<void> {
    await this.step();
    this.disk.fleet = true;
    await this.step();
    if (this.disk.cluster === 0) this.disk.cluster = this.world.nextCluster++;
    this.world.fleets.set(this.disk.cluster, new Set());
  }

  async openFleet(): Promise<void> {
    await this.step();
  }

  async setCluster(cluster: number): Promise<void> {
    await this.step();
    if (this.disk.cluster !== 0 && this.disk.cluster !== cluster) throw new Error("two clusters");
    this.disk.cluster = cluster;
  }

  async status(seed: string) {
    const other = await this.reach(seed);
    return { node: other.node, cluster: other.disk.cluster };
  }

  async requestAdmission(seed: string) {
    const other = await this.reach(seed);
    if (!other.disk.fleet) throw new RaftKVError("NO_LEADER", "not there yet");
    this.world.fleets.get(other.disk.cluster)?.add(this.node);
    return { cluster: other.disk.cluster };
  }

  async announce(seed: string): Promise<void> {
    await this.reach(seed);
  }

  async awaitFleet(): Promise<boolean> {
    await this.step();
    if (this.world.random() < 0.3) return false;
    this.disk.fleet = true;
    return true;
  }

  async register(): Promise<void> {
    await this.step();
    if (this.world.random() < 0.3) throw new RaftKVError("NO_LEADER", "no leader");
    this.world.fleets.get(this.disk.cluster)?.add(this.node);
  }

  pause = () => this.step();
  elapsed = () => 0;
  say(message: string): void {
    this.world.said.push(message);
  }

  checkOpen(): void {
    if (!this.alive) throw new Killed();
  }

  private async step(): Promise<void> {
    const { random } = this.world;
    for (let turns = Math.floor(random() * 4); turns >= 0; turns--) await null;
    if (this.world.killing && random() < 0.03) this.alive = false;
    this.checkOpen();
  }

  private async reach(address: string): Promise<Process> {
    await this.step();
    const other = this.world.running.get(address);
    if (!other?.alive || this.world.random() < 0.2) {
      throw new RaftKVError("NO_LEADER", "not reached");
    }
    if (this.disk.cluster !== 0 && other.disk.cluster !== 0) {
      if (this.disk.cluster !== other.disk.cluster) {
        throw new RaftKVError("CLUSTER_MISMATCH", "another cluster");
      }
    }
    return other;
  }
}

/** Runs a node until it is in, starting it again whenever it is killed. */
async function runUntilIn(world: World, node: number, address: string, seeds: readonly string[]) {
  const disk: Disk = { cluster: 0, fleet: false };
  for (let start = 0; ; start++) {
    if (start > 20) world.killing = false;
    const process = new Process(world, node, address, seeds, disk);
    world.running.set(address, process);
    try {
      await joinCluster(process);
      return disk;
    } catch (error) {
      if (!(error instanceof Killed) && !(error as RaftKVError).code) throw error;
      if ((error as RaftKVError).code === "CLUSTER_MISMATCH") throw error;
      process.alive = false;
    }
  }
}

const SEEDS = 300;

it("nodes that start at the same moment become one cluster", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed);
    const addresses = ["a:1", "b:1", "c:1"];
    // The fourth is not a seed itself.
    const all = [...addresses, "d:1"];
    const started = all.map((address, at) => runUntilIn(world, at + 1, address, addresses));
    const disks = await Promise.all(started);
    const message = `seed ${seed}`;
    expect(new Set(disks.map(({ cluster }) => cluster)).size, message).toBe(1);
    expect(world.fleets.size, `clusters that were founded, ${message}`).toBe(1);
    const [members] = world.fleets.values();
    expect([...(members ?? [])].sort(), message).toEqual([1, 2, 3, 4]);
  }
});

describe("a node that cannot join", () => {
  it("says which seeds it waits for, and goes on once they answer", async () => {
    const world = new World(7);
    world.killing = false;
    const disk: Disk = { cluster: 0, fleet: false };
    const first = new Process(world, 1, "a:1", ["a:1", "b:1"], disk);
    world.running.set("a:1", first);
    const joining = joinCluster(first);
    while (world.said.length === 0) await null;
    expect(world.said[0]).toContain("b:1");
    const second = runUntilIn(world, 2, "b:1", ["a:1", "b:1"]);
    await Promise.all([joining, second]);
    expect(world.fleets.size).toBe(1);
  });

  it("is refused by seeds of another cluster than its directory's", async () => {
    const world = new World(8);
    world.killing = false;
    await runUntilIn(world, 1, "a:1", []);
    const disk: Disk = { cluster: 7, fleet: false };
    const stranger = new Process(world, 2, "b:1", ["a:1"], disk);
    await expect(joinCluster(stranger)).rejects.toMatchObject({ code: "CLUSTER_MISMATCH" });
    expect(disk.cluster).toBe(7);
  });

  it("is told to give seeds when its directory has left a cluster", async () => {
    const world = new World(9);
    const disk: Disk = { cluster: 7, fleet: false };
    const alone = new Process(world, 2, "b:1", [], disk);
    await expect(joinCluster(alone)).rejects.toMatchObject({
      code: "CLUSTER_MISMATCH",
      message: expect.stringContaining("seed"),
    });
  });
});
