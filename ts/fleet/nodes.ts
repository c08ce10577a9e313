/**
 * The fleet's commands about nodes: they join, leave, bind code, are lost and come back.
 *
 * Promises: a message about an earlier incarnation changes nothing; a node is dropped only once no
 * group counts on it any more, or once it was given up for lost (`lost.ts`); a node that is purged
 * or leaves gets no new members.
 */
import { DEPARTED_NODES } from "../limits.ts";
import type { FleetReply, JoiningNode, LeaveNode, NodeCommand, PurgeNode } from "./commands.ts";
import { dropLostNodes } from "./lost.ts";
import {
  type FleetNode,
  type FleetState,
  hasModule,
  isPartOf,
  withGroup,
  withNode,
  withoutReplica,
} from "./state.ts";
import { retarget } from "./targets.ts";

type Outcome = [FleetReply, FleetState];

const DONE: FleetReply = { ok: true };

/** Runs a command about a node. */
export function applyNodeCommand(state: FleetState, command: NodeCommand): Outcome {
  if (command.type === "joinNode") {
    const lost = state.lost.get(command.node.id);
    if (lost !== undefined) return neverAgain(state, lost);
    return [DONE, joinNode(state, command.node, command.now)];
  }
  if (command.type === "dropLostNodes") return [DONE, dropLostNodes(state, command.nodes)];
  const node = state.nodes.get(command.node);
  switch (command.type) {
    case "leaveNode":
      return node ? [DONE, leaveNode(state, node, command)] : unknown(state, command.node);
    case "bindModules": {
      if (!node) return unknown(state, command.node);
      const modules = union(node.modules, command.modules);
      if (modules.length === node.modules.length) return [DONE, state];
      return [DONE, watchSystemGroups(withNode(state, { ...node, modules }), node.id)];
    }
    case "drainNode":
      return node ? drainNode(state, node, command.drained) : unknown(state, command.node);
    case "markUnreachable": {
      if (!node || node.unreachableSince !== null) return [DONE, state];
      return [DONE, withNode(state, { ...node, unreachableSince: command.since })];
    }
    case "markReachable":
      return [DONE, node ? markReachable(state, node, command.now) : state];
    case "purgeNode":
      return [DONE, node ? purgeNode(state, node, command) : state];
  }
}

function unknown(state: FleetState, node: number): Outcome {
  return [{ ok: false, code: "NOT_FOUND", message: `no node ${node}` }, state];
}

function neverAgain(state: FleetState, name: string): Outcome {
  const message =
    `${name} was given up for lost, and the cluster went on without what it holds: ` +
    "start it with an empty data directory, as a new node";
  return [{ ok: false, code: "CLUSTER_MISMATCH", message }, state];
}

function joinNode(state: FleetState, joining: JoiningNode, now: number): FleetState {
  const { id, incarnation } = joining;
  const known = state.nodes.get(id);
  // A repetition that was overtaken: by a later opening of the same directory, or by its leaving.
  if (known && incarnation < known.incarnation) return state;
  if (known?.state === "leaving" && !known.purged && incarnation === known.incarnation) {
    return state;
  }
  if (incarnation <= (state.departed.get(id) ?? 0)) return state;
  const repeated = known?.state === "active" && known.incarnation === incarnation;
  const node: FleetNode = {
    ...joining,
    modules: repeated ? union(known.modules, joining.modules) : [...joining.modules],
    state: "active",
    purged: false,
    since: repeated ? known.since : now,
    unreachableSince: repeated ? known.unreachableSince : null,
    // A node that was stopped and comes back is to be used again.
    ...(repeated && known.drained ? { drained: true } : {}),
  };
  return watchSystemGroups(withNode(state, node), id);
}

function drainNode(state: FleetState, node: FleetNode, drained: boolean): Outcome {
  if ((node.drained ?? false) === drained) return [DONE, state];
  const { drained: _before, ...rest } = node;
  if (!drained) return [DONE, withNode(state, rest)];
  const others = [...state.nodes.values()].some(
    (other) => other.id !== node.id && other.state === "active" && !other.drained,
  );
  if (others) return [DONE, withNode(state, { ...rest, drained })];
  const message = `no other active node could take over what ${node.name} holds`;
  return [{ ok: false, code: "INVALID_ARGUMENT", message }, state];
}

/** Makes a node that may follow system groups a learner of them at once: it needs their state. */
function watchSystemGroups(state: FleetState, id: number): FleetState {
  const node = state.nodes.get(id);
  if (node?.state !== "active") return state;
  let next = state;
  for (const group of state.groups.values()) {
    const { members, learners } = group;
    if (!group.system || group.state !== "active" || !hasModule(node, group.module)) continue;
    if (members.includes(id) || learners.includes(id)) continue;
    next = withGroup(next, retarget(group, { members, learners: [...learners, id] }));
  }
  return next;
}

function leaveNode(state: FleetState, node: FleetNode, command: LeaveNode): FleetState {
  if (command.incarnation !== undefined && command.incarnation < node.incarnation) return state;
  const { id } = node;
  if (node.state === "leaving") {
    // The node was purged, and says now that it does not want to come back.
    const wanted = node.purged ? withNode(state, { ...node, purged: false }) : state;
    return dropWhenBare(wanted, id);
  }
  return dropWhenBare(withNode(state, { ...node, state: "leaving", since: command.now }), id);
}

function markReachable(state: FleetState, node: FleetNode, now: number): FleetState {
  if (node.unreachableSince === null) return state;
  const reachable = { ...node, unreachableSince: null };
  if (!node.purged) return withNode(state, reachable);
  const back = { ...reachable, state: "active", purged: false, since: now } as const;
  return watchSystemGroups(withNode(state, back), node.id);
}

function purgeNode(state: FleetState, node: FleetNode, { window, now }: PurgeNode): FleetState {
  const { id, unreachableSince } = node;
  if (node.purged || unreachableSince === null || now - unreachableSince < window) return state;
  const since = node.state === "leaving" ? node.since : now;
  let next = withNode(state, { ...node, state: "leaving", purged: true, since });
  // It will not say that it has deleted its replicas of groups that are being removed.
  for (const group of state.groups.values()) {
    if (group.state === "removing") next = withoutReplica(next, group.name, id);
  }
  return dropWhenBare(next, id);
}

/** Drops a leaving node once no group counts on it. */
export function dropWhenBare(state: FleetState, id: number): FleetState {
  const node = state.nodes.get(id);
  if (node?.state !== "leaving") return state;
  for (const group of state.groups.values()) {
    if (isPartOf(group, id)) return state;
  }
  const nodes = new Map(state.nodes);
  nodes.delete(id);
  // A purged node may be alive, and then comes back in the same incarnation.
  const departed = node.purged ? state.departed : withDeparted(state.departed, node);
  return { ...state, nodes, departed };
}

function withDeparted(
  departed: FleetState["departed"],
  { id, incarnation }: FleetNode,
): FleetState["departed"] {
  const known = [...departed].filter(([node]) => node !== id);
  return new Map([...known, [id, incarnation] as const].slice(-DEPARTED_NODES));
}

function union(known: readonly string[], added: readonly string[]): string[] {
  return [...new Set([...known, ...added])];
}
