/** The fleet's state: which nodes the cluster has, and which groups live on them. */

/** Group id of the fleet itself. */
export const FLEET_GROUP = 1;
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
  /** A leaving node gets no new members. */
  readonly state: "active" | "leaving";
  /** When `state` last changed, milliseconds since 1970. */
  readonly since: number;
}

/** What a group is opened with: plain data that the fleet keeps and does not look into. */
export type GroupSettings = Readonly<Record<string, unknown>>;

/** A consensus group. */
export interface FleetGroup {
  readonly id: number;
  readonly name: string;
  /** How many replicas are wanted; there are fewer while there are fewer nodes. */
  readonly replicas: number;
  /** Node ids, the preferred leader first. While removing: those that have not confirmed yet. */
  readonly members: readonly number[];
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
  readonly groups: ReadonlyMap<string, FleetGroup>;
  readonly nextGroup: number;
  /** Tokens of requests whose groups are gone, oldest first: a late repetition adds nothing. */
  readonly spentTokens: readonly string[];
}

/** The fleet before any command. */
export function emptyFleet(): FleetState {
  return {
    clusterId: null,
    nodes: new Map(),
    groups: new Map(),
    nextGroup: FIRST_GROUP,
    spentTokens: [],
  };
}

/** The group with this id, if it exists. */
export function groupById(state: FleetState, id: number): FleetGroup | undefined {
  for (const group of state.groups.values()) {
    if (group.id === id) return group;
  }
  return undefined;
}

/** The nodes that may hold members of a group that runs `module`. */
export function eligibleNodes(state: FleetState, module: string): FleetNode[] {
  return [...state.nodes.values()].filter(
    (node) => node.state === "active" && node.modules.includes(module),
  );
}
