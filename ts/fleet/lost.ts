/**
 * Nodes that an operator gave up for lost leave the fleet at once, for good.
 *
 * Promises: afterwards no target names them, and they are never let in again; a target loses the
 * lost members and nothing else, so what is left of a majority stays one; a repetition changes
 * nothing. Where the real members are more than a step away from such a target, the group's leader
 * takes several.
 */
import { DEPARTED_NODES } from "../limits.ts";
import { type FleetGroup, type FleetState, isPartOf, withGroup, withoutReplica } from "./state.ts";

/** The fleet without these nodes. */
export function dropLostNodes(state: FleetState, nodes: readonly number[]): FleetState {
  let next = state;
  for (const id of nodes) next = drop(next, id);
  return next;
}

function drop(state: FleetState, id: number): FleetState {
  const node = state.nodes.get(id);
  if (node === undefined) return state;
  const nodes = new Map(state.nodes);
  nodes.delete(id);
  const lost = new Map([...state.lost, [id, node.name] as const].slice(-DEPARTED_NODES));
  let next: FleetState = { ...state, nodes, lost };
  for (const group of state.groups.values()) {
    if (!isPartOf(group, id)) continue;
    next =
      group.state === "removing"
        ? withoutReplica(next, group.name, id)
        : withGroup(next, without(group, id));
  }
  return next;
}

/** The group's target without a lost member. */
function without(group: FleetGroup, id: number): FleetGroup {
  const stays = (node: number) => node !== id;
  const { version, preferred, ...rest } = group;
  const leaving = group.leaving.filter(stays);
  if (group.leaving.includes(id)) return { ...group, leaving };
  const learners = group.learners.filter(stays);
  const members = group.members.filter(stays);
  const kept = preferred === undefined || preferred === id ? {} : { preferred };
  const changed = { ...rest, ...kept, version: version + 1 };
  if (members.length > 0) return { ...changed, members, learners, leaving };
  // What is left of the group is with those that watched it, or were about to leave it.
  const heirs = [...new Set([...learners, ...leaving])];
  return { ...changed, members: heirs, learners: [], leaving: [] };
}
