/**
 * The fleet's state machine: nodes, groups, which nodes hold which groups, and where they should.
 *
 * It is the group with id 1 and decides what exists; the nodes' hosts follow its state and open or
 * delete replicas, the groups' leaders bring the members to their targets. Promises: group ids are
 * never reused; an added group keeps its name to itself until every node that held a replica has
 * confirmed the removal; a repeated command changes nothing; a target differs from the one before
 * in at most one member. It may not use clocks or chance: times come with the commands.
 */
import { SPENT_TOKENS, SYSTEM_VOTERS_MAX } from "../limits.ts";
import type { DataModule } from "../machine/data-module.ts";
import type {
  AddGroup,
  FleetAnswer,
  FleetCommand,
  FleetError,
  FleetErrorCode,
  FleetQuery,
  FleetReply,
  KeepMembers,
  ReachedTarget,
  RemoveGroup,
} from "./commands.ts";
import { applyNodeCommand, dropWhenBare } from "./nodes.ts";
import {
  emptyFleet,
  FLEET_GROUP,
  FLEET_NAME,
  type FleetGroup,
  type FleetState,
  fleetImage,
  groupById,
  withGroup,
  withoutReplica,
} from "./state.ts";
import { firstTarget, nextTargets, preferring, retarget, sameNodes } from "./targets.ts";

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
    case "foundCluster":
      return foundCluster(state, command.clusterId, command.founder);
    case "addGroup":
      return addGroup(state, command);
    case "removeGroup":
      return removeGroup(state, command);
    case "confirmRemoved":
      return confirmRemoved(state, command.group, command.node);
    case "confirmTargets":
      return [{ ok: true }, command.targets.reduce(withConfirmed, state)];
    case "confirmMembers":
      return [{ ok: true }, withConfirmed(state, command)];
    case "keepMembers":
      return keepMembers(state, command);
    case "preferLeader":
      return preferLeader(state, command.name, command.node);
    case "balance":
      return balance(state, command.limit);
    case "joinNode":
    case "leaveNode":
    case "bindModules":
    case "drainNode":
    case "markUnreachable":
    case "markReachable":
    case "purgeNode":
    case "dropLostNodes":
      return applyNodeCommand(state, command);
    default:
      return refuse(state, "INVALID_OPTION", "not a command of the fleet");
  }
}

function answerFleetQuery(state: FleetState, query: FleetQuery): FleetAnswer {
  switch (query.type) {
    case "nodes":
      return [...state.nodes.values()];
    case "groups":
      return state.groups.values();
    case "group":
      return state.groups.get(query.name) ?? null;
    default:
      return fleetImage.pack(state);
  }
}

function refuse(
  state: FleetState,
  code: FleetErrorCode,
  message: string,
): [FleetError, FleetState] {
  return [{ ok: false, code, message }, state];
}

function foundCluster(state: FleetState, clusterId: string, founder: number): Outcome {
  if (state.clusterId !== null) return [{ ok: true, clusterId: state.clusterId }, state];
  const group: FleetGroup = {
    id: FLEET_GROUP,
    name: FLEET_NAME,
    system: true,
    replicas: SYSTEM_VOTERS_MAX,
    members: [founder],
    learners: [],
    leaving: [],
    version: 1,
    confirmed: 1,
    created: true,
    module: FLEET_NAME,
    settings: {},
    state: "active",
    token: FLEET_NAME,
  };
  return [{ ok: true, clusterId }, withGroup({ ...state, clusterId }, group)];
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
  const id = state.nextGroup;
  const system = command.system === true;
  const target = firstTarget(state, { id, replicas }, system, module);
  if (target.members.length === 0) {
    const message = `no active node that can be reached has bound the module ${module}`;
    return refuse(state, "MODULE_NOT_BOUND", message);
  }
  const group: FleetGroup = {
    id,
    name,
    system,
    replicas: system ? SYSTEM_VOTERS_MAX : replicas,
    ...target,
    leaving: [],
    version: 1,
    confirmed: 0,
    created: false,
    module,
    settings,
    state: "active",
    token,
  };
  const next = withGroup({ ...state, nextGroup: id + 1 }, group);
  return [{ ok: true, group: id, members: group.members }, next];
}

function removeGroup(state: FleetState, { name, token }: RemoveGroup): Outcome {
  const group = state.groups.get(name);
  if (!group || (token !== undefined && group.token !== token)) {
    // The request that would add this group may still be on its way: it must find nothing to do.
    const next = token === undefined ? state : spendToken(state, token);
    return refuse(next, "NOT_FOUND", `no group ${name}`);
  }
  if (group.state === "removing") return [{ ok: true, group: group.id }, state];
  if (group.system) return refuse(state, "NOT_FOUND", `group ${name} is not one to be removed`);
  const members = [...new Set([...group.members, ...group.learners, ...group.leaving])];
  if (members.length === 0) {
    // All its replicas were lost: nobody is left who would confirm that one is deleted.
    const rest = { ...state, groups: state.groups.without(name) };
    return [{ ok: true, group: group.id }, spendToken(rest, group.token)];
  }
  const removing: FleetGroup = { ...group, state: "removing", members, learners: [], leaving: [] };
  const next = spendToken(withGroup(state, removing), group.token);
  return [{ ok: true, group: group.id }, next];
}

function spendToken(state: FleetState, token: string): FleetState {
  if (state.spentTokens.includes(token)) return state;
  return { ...state, spentTokens: [...state.spentTokens, token].slice(-SPENT_TOKENS) };
}

function confirmRemoved(state: FleetState, id: number, node: number): Outcome {
  const group = groupById(state, id);
  if (group?.state !== "removing" || !group.members.includes(node)) return [{ ok: true }, state];
  return [{ ok: true }, dropWhenBare(withoutReplica(state, group.name, node), node)];
}

/** The fleet once it knows that a target was reached. One that is not the present one changes nothing. */
function withConfirmed(state: FleetState, target: ReachedTarget): FleetState {
  const { version, members } = target;
  const group = groupById(state, target.group);
  const asked = group?.state === "active" && group.version === version;
  if (!asked || group.confirmed === version || !sameNodes(group.members, members)) return state;
  const confirmed = { ...group, confirmed: version, created: true, leaving: [] };
  let next = withGroup(state, confirmed);
  for (const node of group.leaving) next = dropWhenBare(next, node);
  return next;
}

function keepMembers(state: FleetState, { group: id, version, members }: KeepMembers): Outcome {
  const group = groupById(state, id);
  const asked = group?.state === "active" && group.version === version;
  if (!asked || group.confirmed === version || members.length === 0) return [{ ok: true }, state];
  const known = [...group.members, ...group.learners, ...group.leaving];
  if (sameNodes(group.members, members) || !members.every((node) => known.includes(node))) {
    return [{ ok: true }, state];
  }
  const ordered = known.filter((node) => members.includes(node));
  const rest = group.system ? [...group.learners, ...group.members] : [];
  const learners = rest.filter((node) => !members.includes(node));
  return [{ ok: true }, withGroup(state, retarget(group, { members: ordered, learners }))];
}

function preferLeader(state: FleetState, name: string, node: number): Outcome {
  const group = state.groups.get(name);
  if (group?.state !== "active") return refuse(state, "NOT_FOUND", `there is no group ${name}`);
  const { members, learners, version, confirmed } = group;
  if (!members.includes(node)) {
    const message = `the node is no voter of group ${name}, so it cannot lead it`;
    return refuse(state, "INVALID_ARGUMENT", message);
  }
  if (group.preferred === node && members[0] === node) return [{ ok: true }, state];
  const preferred = { ...group, preferred: node };
  // While the members change, the next target has the order.
  if (version !== confirmed || members[0] === node) {
    return [{ ok: true }, withGroup(state, preferred)];
  }
  const target = { members: preferring(node, members), learners };
  return [{ ok: true }, withGroup(state, retarget(preferred, target))];
}

function balance(state: FleetState, limit: number): Outcome {
  const changed = nextTargets(state, limit);
  if (changed.length === 0) return [{ ok: true, retargeted: 0 }, state];
  return [{ ok: true, retargeted: changed.length }, changed.reduce(withGroup, state)];
}
