/** The fleet's state: which nodes the cluster has, and which groups live on them. */
import { FleetGroups } from "./groups.ts";

/** Group id of the fleet itself. */
export const FLEET_GROUP = 1;
/** Name of the fleet's group, and of its code, which every node has. */
export const FLEET_NAME = "RaftFleet.Fleet";
/** Id of the first group that the fleet gives out; ids count up and are never reused. */
export const FIRST_GROUP = 2;

/** A node of the cluster. */
export interface FleetNode {
  /** 52 random bits that live with the node's data directory. */
  readonly id: number;
  readonly name: string;
  readonly zone: string;
  /** What peers dial; `null` for a cluster of one. */
  readonly address: string | null;
  readonly version: string;
  /** Which opening of its data directory the node is in. */
  readonly incarnation: number;
  /** Group modules that the node's program has bound. */
  readonly modules: readonly string[];
  /** A leaving node gets no new members, and those that it has move away. */
  readonly state: "active" | "leaving";
  /** It leaves because it was unreachable for too long, not because its program wanted it to. */
  readonly purged: boolean;
  /** When `state` last changed, milliseconds since 1970. */
  readonly since: number;
  /** Since when the fleet's leader could not reach the node, milliseconds since 1970. */
  readonly unreachableSince: number | null;
  /** It holds no voter where another node can: an operator is about to stop it. */
  readonly drained?: boolean;
}

/** What a group is opened with: plain data that the fleet keeps and does not look into. */
export type GroupSettings = Readonly<Record<string, unknown>>;

/**
 * A consensus group. `members` and `learners` are its *target*: the group's leader brings the real
 * membership there and confirms it. The next target is set after that.
 */
export interface FleetGroup {
  readonly id: number;
  readonly name: string;
  /** Every node that has the code is a member, a few vote, and the others are learners. */
  readonly system: boolean;
  /** How many voters are wanted; there are fewer while there are fewer nodes. */
  readonly replicas: number;
  /** Node ids of the voters, the preferred leader first. While removing: all not yet confirmed. */
  readonly members: readonly number[];
  /** The voter that an operator wants to lead, for as long as it is placed here. */
  readonly preferred?: number;
  /** Node ids of members that do not vote; only system groups have them. */
  readonly learners: readonly number[];
  /** Nodes that may still hold a replica of an earlier target. */
  readonly leaving: readonly number[];
  /** Counts the targets. */
  readonly version: number;
  /** Version of the last target that the group's leader confirmed, 0 = none yet. */
  readonly confirmed: number;
  /** Until then only `members[0]` may create the group; the others wait for their leader. */
  readonly created: boolean;
  /** Name of the code that the group runs. */
  readonly module: string;
  readonly settings: GroupSettings;
  readonly state: "active" | "removing";
  /** Identifies the request that added the group, so that it may be repeated. */
  readonly token: string;
}

/** The whole state of the fleet. Never changed in place. */
export interface FleetState {
  /** Set once, when the cluster is founded. */
  readonly clusterId: string | null;
  readonly nodes: ReadonlyMap<number, FleetNode>;
  readonly groups: FleetGroups;
  readonly nextGroup: number;
  /** Tokens of requests whose groups are gone, oldest first: a late repetition adds nothing. */
  readonly spentTokens: readonly string[];
  /** Incarnations of nodes that left by their own wish, oldest first: they do not come back. */
  readonly departed: ReadonlyMap<number, number>;
  /** Names of nodes that an operator gave up for lost, oldest first: they never come back. */
  readonly lost: ReadonlyMap<number, string>;
}

/** The fleet before any command. */
export function emptyFleet(): FleetState {
  return {
    clusterId: null,
    nodes: new Map(),
    groups: FleetGroups.none,
    nextGroup: FIRST_GROUP,
    spentTokens: [],
    departed: new Map(),
    lost: new Map(),
  };
}

/** States are never changed in place, so what is derived from a part of one holds as long as it. */
const modulesOf = new WeakMap<FleetNode["modules"], ReadonlySet<string>>();

/** The group with this id, if it exists. */
export function groupById({ groups }: FleetState, id: number): FleetGroup | undefined {
  return groups.byId(id);
}

/**
 * Was this group removed from the fleet, so that a replica of it may be deleted? A group that this
 * state has not heard of yet was not.
 */
export function isForgotten(state: FleetState, id: number): boolean {
  return id < state.nextGroup && id !== FLEET_GROUP && groupById(state, id) === undefined;
}

/** Does a group concern this node: is it a member, about to be one, or one from before? */
export function isPartOf(group: FleetGroup, node: number): boolean {
  return (
    group.members.includes(node) || group.learners.includes(node) || group.leaving.includes(node)
  );
}

/** The groups that have to let a node go before it may leave. */
export function groupsOfNode(state: FleetState, node: number): FleetGroup[] {
  return state.groups.values().filter((group) => isPartOf(group, node));
}

/** Is this node in the fleet and not marked unreachable? */
export function isReachable(state: FleetState, node: number): boolean {
  return state.nodes.get(node)?.unreachableSince === null;
}

/** Has the node's program bound the code of a group? */
export function hasModule({ modules }: FleetNode, module: string): boolean {
  if (module === FLEET_NAME) return true;
  let bound = modulesOf.get(modules);
  if (bound === undefined) {
    bound = new Set(modules);
    modulesOf.set(modules, bound);
  }
  return bound.has(module);
}

/** May this node lead a group now, as far as the fleet knows? */
export function canLead(state: FleetState, group: FleetGroup, id: number): boolean {
  const node = state.nodes.get(id);
  return node?.unreachableSince === null && hasModule(node, group.module);
}

/**
 * The nodes that may get new members of a group that runs `module`; drained ones only where there
 * are no others.
 */
export function eligibleNodes(state: FleetState, module: string): FleetNode[] {
  const able = [...state.nodes.values()].filter(
    (node) => node.state === "active" && node.unreachableSince === null && hasModule(node, module),
  );
  const open = able.filter((node) => !node.drained);
  return open.length > 0 ? open : able;
}

/** The fleet with this node in place of what it knew of it. */
export function withNode(state: FleetState, node: FleetNode): FleetState {
  return { ...state, nodes: new Map(state.nodes).set(node.id, node) };
}

/** The fleet with this group in place of what it knew of it. */
export function withGroup(state: FleetState, group: FleetGroup): FleetState {
  return { ...state, groups: state.groups.with(group) };
}

/** A state as snapshots hold it: plain values only. */
export interface FleetImage extends Omit<FleetState, "groups"> {
  readonly groups: ReadonlyMap<string, FleetGroup>;
}

/** How a state is written into snapshots, and read from them. */
export const fleetImage = {
  pack: ({ groups, ...rest }: FleetState): FleetImage => ({
    ...rest,
    groups: new Map(groups.values().map((group) => [group.name, group])),
  }),
  unpack: (image: unknown): FleetState => {
    const { groups, ...rest } = image as FleetImage;
    let restored = FleetGroups.none;
    for (const group of groups.values()) restored = restored.with(group);
    return { ...rest, groups: restored };
  },
};

/** The fleet once a node holds no replica any more of a group that is being removed. */
export function withoutReplica(state: FleetState, name: string, node: number): FleetState {
  const group = state.groups.get(name);
  if (group?.state !== "removing") return state;
  const members = group.members.filter((member) => member !== node);
  if (members.length > 0) return withGroup(state, { ...group, members });
  return { ...state, groups: state.groups.without(name) };
}
