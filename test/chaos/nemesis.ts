/**
 * What is done to a cluster on purpose. A fault begins, lasts for a while and is over; everything
 * that is chosen comes from the run's seed. A fault that the system does not allow says why.
 */
import { type CallFailed, type GroupStanding, leaderOf } from "../process/support/cluster.ts";
import type { ChaosNode } from "./support/chaos-node.ts";
import type { Surroundings } from "./support/surroundings.ts";

/** What faults are done to. */
export interface Scene {
  readonly nodes: readonly ChaosNode[];
  readonly surroundings: Surroundings;
  random(): number;
  /** Starts a node again that was killed, or whose process stands still at nothing. */
  restart(node: ChaosNode): Promise<void>;
  /** Lets the shards of the moving keyspace split, or merge. */
  setSplitting(isSplitting: boolean): Promise<void>;
}

/** A fault that has begun. */
export interface Begun {
  readonly what: string;
  /** Lets it be over. */
  end(): Promise<void>;
}

/** A kind of fault. */
export interface Fault {
  readonly name: string;
  /** Needs the rest of the cluster whole. */
  readonly isAlone?: boolean;
  readonly movesReplicas?: boolean;
  /** Why it cannot be done here. */
  missing?(scene: Scene): string | undefined;
  begin(scene: Scene): Promise<Begun>;
}

const SOON_MS = 1_500;
/** How long a node may take to leave a cluster that nothing else is done to, in milliseconds. */
const LEAVING_MS_MAX = 60_000;
const WALL_JUMP_SECONDS_MAX = 7_200;
const CLOCK_SHIFT_SECONDS_MAX = 1_000_000;
const SLOW_WRITES_PER_SECOND = 8;
/** In the order of preference; the last one is in nearly every kernel. */
const SLOW_NETWORKS = [
  ["netem", "delay", "20ms", "10ms", "loss", "2%"],
  ["netem", "delay", "20ms"],
  ["tbf", "rate", "2mbit", "burst", "16kbit", "latency", "200ms"],
];
/** The groups whose leader is a victim. */
const WATCHED_GROUPS = ["still_0", "moving_0", "RaftKV.Keyspaces"];

function chosen<T>({ random }: Scene, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)] as T;
}

/** Half of the time whoever leads something, for that hurts most. */
async function victimOf(scene: Scene): Promise<ChaosNode> {
  const any = chosen(scene, scene.nodes);
  const isLeader = scene.random() < 0.5;
  const group = chosen(scene, WATCHED_GROUPS);
  if (!isLeader) return any;
  const leader = await soon(leaderOf(scene.nodes, group));
  return scene.nodes.find((node) => node === leader) ?? any;
}

/** What comes of a call that a node which stands still would never answer. */
export async function soon<T>(call: Promise<T>, limit = SOON_MS): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limit);
  });
  try {
    return await Promise.race([call, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** What each node knows of the groups, for whoever has to find out what went wrong. */
export async function standing({ nodes }: Pick<Scene, "nodes">): Promise<string> {
  const all = nodes
    .filter(({ isRunning }) => isRunning)
    .map(async (node) => {
      const groups = await soon(node.call<GroupStanding[]>("groups"));
      return `\nnode ${node.index}, ${node.name}: ${JSON.stringify(groups)}`;
    });
  return (await Promise.all(all)).join("");
}

const kill: Fault = {
  name: "kill",
  begin: async (scene) => {
    const victim = await victimOf(scene);
    if (scene.surroundings.canShiftClocks && scene.random() < 0.5) {
      victim.clockShift = Math.floor(scene.random() * CLOCK_SHIFT_SECONDS_MAX);
    }
    await victim.kill();
    const what = `killed node ${victim.index}, to come back ${victim.clockShift} s ahead`;
    return { what, end: () => scene.restart(victim) };
  },
};

const killAll: Fault = {
  name: "kill all",
  isAlone: true,
  begin: async (scene) => {
    await Promise.all(scene.nodes.map((node) => node.kill()));
    const end = async () => {
      await Promise.all(scene.nodes.map((node) => scene.restart(node)));
    };
    return { what: "killed all nodes at once", end };
  },
};

const pause: Fault = {
  name: "stand still",
  begin: async (scene) => {
    const victim = await victimOf(scene);
    victim.signal("SIGSTOP");
    const end = async () => victim.signal("SIGCONT");
    return { what: `stopped node ${victim.index}`, end };
  },
};

const partition: Fault = {
  name: "partition",
  missing: ({ surroundings }) =>
    surroundings.network === undefined ? "there is no network of its own" : undefined,
  begin: async (scene) => {
    const { nodes, surroundings } = scene;
    const victim = await victimOf(scene);
    const isHalf = scene.random() < 0.4;
    const cut = nodes.filter((node) =>
      isHalf ? scene.random() < 0.5 || node === victim : node === victim,
    );
    const direction = chosen(scene, ["both ways", "inwards", "outwards"]);
    const set = (isPassing: boolean) => {
      for (const inner of cut) {
        for (const outer of nodes.filter((node) => !cut.includes(node))) {
          const { network } = surroundings;
          const inwards = isPassing || direction === "outwards";
          const outwards = isPassing || direction === "inwards";
          network?.setPassing(outer.index, inner.index, inwards);
          network?.setPassing(inner.index, outer.index, outwards);
        }
      }
    };
    set(false);
    const what = `cut nodes ${cut.map(({ index }) => index)} off, ${direction}`;
    return { what, end: async () => set(true) };
  },
};

const slowNetwork: Fault = {
  name: "slow network",
  missing: ({ surroundings: { network } }) => {
    if (network === undefined) return "there is no network of its own";
    const found = network.firstDiscipline(SLOW_NETWORKS);
    return found === undefined ? "tc knows neither netem nor tbf" : undefined;
  },
  begin: async ({ nodes, surroundings: { network } }) => {
    const discipline = network?.firstDiscipline(SLOW_NETWORKS);
    const set = (value?: readonly string[]) => {
      for (const { index } of nodes) network?.setDiscipline(index, value);
    };
    set(discipline);
    return { what: `slow network: ${discipline?.join(" ")}`, end: async () => set() };
  },
};

const fullDisk: Fault = {
  name: "full disk",
  missing: ({ surroundings }) =>
    surroundings.disks.size === 0 ? "there are no small disks" : undefined,
  begin: async (scene) => {
    const [index, disk] = chosen(scene, [...scene.surroundings.disks]);
    disk.setFull(true);
    const end = async () => {
      disk.setFull(false);
      const node = scene.nodes[index] as ChaosNode;
      await node.kill();
      await scene.restart(node);
    };
    return { what: `filled the disk of node ${index}`, end };
  },
};

const slowDisk: Fault = {
  name: "slow disk",
  missing: ({ surroundings }) =>
    [...surroundings.disks.values()].some(({ canBeSlow }) => canBeSlow)
      ? undefined
      : "there is no loop device whose writes a control group can throttle",
  begin: async (scene) => {
    const slow = [...scene.surroundings.disks].filter(([, disk]) => disk.canBeSlow);
    const [index, disk] = chosen(scene, slow);
    const node = scene.nodes[index] as ChaosNode;
    const { processId } = node;
    const set = (writes: number | undefined) => {
      const isSame = processId !== undefined && processId === node.processId && node.isRunning;
      if (isSame) disk.setWritesPerSecond(processId, writes);
    };
    set(SLOW_WRITES_PER_SECOND);
    const what = `${SLOW_WRITES_PER_SECOND} writes a second for the disk of node ${index}`;
    return { what, end: async () => set(undefined) };
  },
};

const wallClock: Fault = {
  name: "wall clock",
  missing: ({ surroundings }) =>
    surroundings.wallClocks === undefined ? "wall clocks cannot be moved" : undefined,
  begin: async (scene) => {
    const { index } = await victimOf(scene);
    const seconds = Math.floor((scene.random() - 0.5) * 2 * WALL_JUMP_SECONDS_MAX);
    const clocks = scene.surroundings.wallClocks;
    clocks?.setJump(index, seconds);
    const what = `moved the wall clock of node ${index} by ${seconds} s`;
    return { what, end: async () => clocks?.setJump(index, 0) };
  },
};

const transfer: Fault = {
  name: "transfer leaders",
  begin: async (scene) => {
    const told: string[] = [];
    for (const node of scene.nodes.filter(({ isRunning }) => isRunning)) {
      const groups = (await soon(node.call<GroupStanding[]>("groups"))) ?? [];
      for (const { id, name, role, voters = [], leader } of groups) {
        const others = voters.filter((voter) => voter !== leader);
        if (role !== "leader" || others.length === 0) continue;
        // It may fail, and who leads then is what the clients are to find out.
        const handing = node.call("transferLeader", id, chosen(scene, others));
        const result = handing.then(
          () => "done",
          (error: CallFailed) => error.code,
        );
        told.push(`${name} ${(await soon(result)) ?? "unanswered"}`);
      }
    }
    return { what: `transferred leaders: ${told.join(", ")}`, end: async () => undefined };
  },
};

const leave: Fault = {
  name: "leave",
  isAlone: true,
  movesReplicas: true,
  begin: async (scene) => {
    const victim = chosen(scene, scene.nodes);
    await victim.call("stopWork");
    const left = await soon(
      victim.call("fleet.deactivate").then(() => true),
      LEAVING_MS_MAX,
    );
    if (!left) throw new Error(`node ${victim.index} could not leave: ${await standing(scene)}`);
    return { what: `node ${victim.index} has left`, end: () => scene.restart(victim) };
  },
};

const split: Fault = {
  name: "split and merge",
  begin: async (scene) => {
    await scene.setSplitting(true);
    return { what: "lets shards split", end: () => scene.setSplitting(false) };
  },
};

/** All of them. */
export const FAULTS: readonly Fault[] = [
  ...[kill, killAll, pause, partition, slowNetwork, fullDisk, slowDisk],
  ...[wallClock, transfer, leave, split],
];
