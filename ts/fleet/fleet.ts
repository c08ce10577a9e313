/**
 * The fleet's state machine: nodes, groups and who holds which.
 *
 * It is the group with id 1 and decides what exists; the nodes' hosts follow its state and open or
 * delete replicas. Promises: group ids are never reused; an added group keeps its name to itself
 * until every member has confirmed the removal; a repeated command changes nothing. It may not
 * use clocks or chance: times come with the commands.
 */
import { SPENT_TOKENS } from "../limits.ts";
import type { DataModule } from "../machine/data-module.ts";
import type {
  AddGroup,
  FleetAnswer,
  FleetCommand,
  FleetError,
  FleetErrorCode,
  FleetQuery,
  FleetReply,
  JoiningNode,
  RemoveGroup,
} from "./commands.ts";
import { placeGroup } from "./placement.ts";
import {
  eligibleNodes,
  emptyFleet,
  type FleetGroup,
  type FleetNode,
  type FleetState,
  groupById,
} from "./state.ts";

type Outcome = [FleetReply, FleetState];

/** The fleet, as a data module. */
export const fleetModule: DataModule<
  FleetState,
  FleetCommand,
  FleetReply,
  FleetQuery,
  FleetAnswer
> = { init: emptyFleet, command: applyFleetCommand, query: answerFleetQuery };

function applyFleetCommand(state: FleetState, command: FleetCommand): Outcome {
  switch (command.type) {
    case "foundCluster": {
      const clusterId = state.clusterId ?? command.clusterId;
      return [
        { ok: true, clusterId },
        { ...state, clusterId },
      ];
    }
    case "joinNode":
      return joinNode(state, command.node, command.now);
    case "leaveNode":
      return leaveNode(state, command.node, command.now);
    case "bindModules":
      return bindModules(state, command.node, command.modules);
    case "addGroup":
      return addGroup(state, command);
    case "removeGroup":
      return removeGroup(state, command);
    case "confirmRemoved":
      return confirmRemoved(state, command.group, command.node);
    default:
      return refuse(state, "INVALID_OPTION", "not a command of the fleet");
  }
}

function answerFleetQuery(state: FleetState, query: FleetQuery): FleetAnswer {
  switch (query.type) {
    case "nodes":
      return [...state.nodes.values()];
    case "groups":
      return [...state.groups.values()];
    case "group":
      return state.groups.get(query.name) ?? null;
    default:
      return state;
  }
}

function refuse(
  state: FleetState,
  code: FleetErrorCode,
  message: string,
): [FleetError, FleetState] {
  return [{ ok: false, code, message }, state];
}

function withNode(state: FleetState, node: FleetNode): FleetState {
  return { ...state, nodes: new Map(state.nodes).set(node.id, node) };
}

function withGroup(state: FleetState, group: FleetGroup): FleetState {
  return { ...state, groups: new Map(state.groups).set(group.name, group) };
}

function joinNode(state: FleetState, joining: JoiningNode, now: number): Outcome {
  const known = state.nodes.get(joining.id);
  // A repetition that was overtaken by a later opening of the same directory.
  if (known && joining.incarnation < known.incarnation) return [{ ok: true }, state];
  const repeated = known?.state === "active" && known.incarnation === joining.incarnation;
  const modules = repeated ? union(known.modules, joining.modules) : [...joining.modules];
  const since = repeated ? known.since : now;
  return [{ ok: true }, withNode(state, { ...joining, modules, state: "active", since })];
}

function leaveNode(state: FleetState, id: number, now: number): Outcome {
  const node = state.nodes.get(id);
  if (!node) return refuse(state, "NOT_FOUND", `no node ${id}`);
  if (node.state === "leaving") return [{ ok: true }, dropWhenBare(state, id)];
  return [
    { ok: true },
    dropWhenBare(withNode(state, { ...node, state: "leaving", since: now }), id),
  ];
}

/** Drops a leaving node once it is a member of no group. */
function dropWhenBare(state: FleetState, id: number): FleetState {
  if (state.nodes.get(id)?.state !== "leaving") return state;
  for (const group of state.groups.values()) {
    if (group.members.includes(id)) return state;
  }
  const nodes = new Map(state.nodes);
  nodes.delete(id);
  return { ...state, nodes };
}

function bindModules(state: FleetState, id: number, modules: readonly string[]): Outcome {
  const node = state.nodes.get(id);
  if (!node) return refuse(state, "NOT_FOUND", `no node ${id}`);
  return [{ ok: true }, withNode(state, { ...node, modules: union(node.modules, modules) })];
}

function union(known: readonly string[], added: readonly string[]): string[] {
  return [...new Set([...known, ...added])];
}

function addGroup(state: FleetState, command: AddGroup): Outcome {
  const { name, replicas, module, settings, token } = command;
  const existing = state.groups.get(name);
  if (existing?.state === "removing") {
    return refuse(state, "CLEANUP_ONGOING", `group ${name} is still being removed`);
  }
  if (existing) {
    return existing.token === token
      ? [{ ok: true, group: existing.id, members: existing.members }, state]
      : refuse(state, "ALREADY_ADDED", `group ${name} exists already`);
  }
  if (state.spentTokens.includes(token)) {
    return refuse(state, "NOT_FOUND", `group ${name} was added and removed by this request`);
  }
  if (!Number.isInteger(replicas) || replicas < 1) {
    return refuse(state, "INVALID_OPTION", "replicas must be a positive integer");
  }
  const nodes = eligibleNodes(state, module);
  if (nodes.length === 0) {
    return refuse(state, "MODULE_NOT_BOUND", `no active node has bound the module ${module}`);
  }
  const id = state.nextGroup;
  const members = placeGroup(id, replicas, nodes);
  const group: FleetGroup = {
    id,
    name,
    replicas,
    members,
    module,
    settings,
    state: "active",
    token,
  };
  return [{ ok: true, group: id, members }, withGroup({ ...state, nextGroup: id + 1 }, group)];
}

function removeGroup(state: FleetState, { name, token }: RemoveGroup): Outcome {
  const group = state.groups.get(name);
  if (!group || (token !== undefined && group.token !== token)) {
    // The request that would add this group may still be on its way: it must find nothing to do.
    const next = token === undefined ? state : spendToken(state, token);
    return refuse(next, "NOT_FOUND", `no group ${name}`);
  }
  if (group.state === "removing") return [{ ok: true, group: group.id }, state];
  const next = spendToken(withGroup(state, { ...group, state: "removing" }), group.token);
  return [{ ok: true, group: group.id }, next];
}

function spendToken(state: FleetState, token: string): FleetState {
  if (state.spentTokens.includes(token)) return state;
  return { ...state, spentTokens: [...state.spentTokens, token].slice(-SPENT_TOKENS) };
}

function confirmRemoved(state: FleetState, id: number, node: number): Outcome {
  const group = groupById(state, id);
  if (group?.state !== "removing") return [{ ok: true }, state];
  const members = group.members.filter((member) => member !== node);
  const groups = new Map(state.groups);
  if (members.length > 0) groups.set(group.name, { ...group, members });
  else groups.delete(group.name);
  return [{ ok: true }, dropWhenBare({ ...state, groups }, node)];
}
