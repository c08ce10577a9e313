/** Everything around the nodes of a run: scratch directories, disks, a network, clocks. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freeAddresses } from "../../node/support/cluster.ts";
import type { Habitat } from "./chaos-node.ts";
import { tryShifting, WallClocks } from "./clock.ts";
import { Disk, makeImage } from "./disks.ts";
import { Network } from "./network.ts";
import { isRoot, possible, SystemFault } from "./system.ts";

const PORT = 4400;
/** Enough for the logs of a run's groups until they are snapshot. */
const DISK_MEBIBYTES = 384;

/** What could be made here, and what not and why. */
export class Surroundings {
  readonly directory: string;
  readonly habitats: readonly Habitat[];
  readonly network: Network | undefined;
  readonly wallClocks: WallClocks | undefined;
  readonly canShiftClocks: boolean;
  /** By node; nodes without one have their data in the scratch directory. */
  readonly disks: ReadonlyMap<number, Disk>;
  /** What was left out, and why. */
  readonly skipped: readonly string[];

  private constructor(parts: Omit<Surroundings, "remove">) {
    this.directory = parts.directory;
    this.habitats = parts.habitats;
    this.network = parts.network;
    this.wallClocks = parts.wallClocks;
    this.canShiftClocks = parts.canShiftClocks;
    this.disks = parts.disks;
    this.skipped = parts.skipped;
  }

  static async make(nodes: number, name: string): Promise<Surroundings> {
    const directory = mkdtempSync(join(tmpdir(), `raft-kv-chaos-${name}-`));
    const skipped: string[] = [];
    const tried = <T>(what: string, make: () => T): T | undefined => {
      const result = possible(() => {
        if (!isRoot() && what !== "jumps of the wall clock") throw new SystemFault("needs root");
        return make();
      });
      if ("made" in result) return result.made;
      skipped.push(`${what}: ${result.why}`);
      return undefined;
    };
    const network = tried("a network of its own", () => new Network(nodes));
    const wallClocks = tried("jumps of the wall clock", () => new WallClocks(directory));
    const canShiftClocks = tried("shifted monotonic clocks", () => tryShifting() ?? true) ?? false;
    const disks = new Map<number, Disk>();
    for (let node = 0; node < nodes; node++) {
      const kind = ([undefined, "memory", "loop"] as const)[node % 3];
      if (kind === undefined) continue;
      const path = join(directory, `disk-${node}`);
      const disk = tried(`a small disk (${kind})`, () => mounted(path, kind));
      if (disk !== undefined) disks.set(node, disk);
    }
    const addresses =
      network === undefined
        ? await freeAddresses(nodes)
        : Array.from({ length: nodes }, (_, node) => `${network.address(node)}:${PORT}`);
    const habitats = addresses.map((address, node) => {
      const data = join(disks.get(node)?.path ?? directory, `node-${node}`);
      mkdirSync(data, { recursive: true });
      const history = join(directory, `history-${node}.jsonl`);
      const log = join(directory, `log-${node}.txt`);
      const wrapper = network?.within(node) ?? [];
      const environment = wallClocks?.environment(node) ?? {};
      return { address, directory: data, history, log, wrapper, environment };
    });
    const parts = { directory, habitats, network, wallClocks, canShiftClocks, disks, skipped };
    return new Surroundings(parts);
  }

  /** Undoes all of it; without `keep` the histories go as well. Processes must have ended. */
  remove(keep: boolean): void {
    this.network?.remove();
    for (const disk of this.disks.values()) disk.remove();
    if (!keep) rmSync(this.directory, { recursive: true, force: true });
  }
}

function mounted(path: string, kind: "memory" | "loop"): Disk {
  if (kind === "memory") return Disk.inMemory(path, DISK_MEBIBYTES);
  makeImage(`${path}.image`, DISK_MEBIBYTES);
  return Disk.ofImage(path, `${path}.image`);
}
