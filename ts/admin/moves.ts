/** Moves leaders and replicas as an operator wants, and says whether a node may be stopped. */
import { RaftKVError } from "../errors.ts";
import type { FleetGroup } from "../fleet/state.ts";
import { majority } from "../fleet/targets.ts";
import { ADMIN_DRAIN_MS } from "../limits.ts";
import { findGroup, findNode } from "./finding.ts";
import type { AdminPorts } from "./ports.ts";
import type { Quorum } from "./reports.ts";
import type { DrainView, SafetyView, TransferredLeader } from "./types.ts";
import { until } from "./waiting.ts";

/** Has a voter of a group lead it; resolves once it does. */
export async function transferLeader(
  ports: AdminPorts,
  groupName: string,
  nodeName: string,
): Promise<TransferredLeader> {
  const group = findGroup(ports, groupName);
  const node = findNode(ports, nodeName);
  if (!group.members.includes(node.id)) {
    const voters = group.members.map((id) => ports.nameOf(id)).join(", ");
    const message = `${node.name} is no voter of ${group.name}, so it cannot lead it; ${voters} can`;
    throw new RaftKVError("INVALID_ARGUMENT", message, { group: group.name, node: node.name });
  }
  if (node.unreachableSince !== null || ports.unreachable().has(node.id)) {
    const message = `${node.name} is out of reach, so it cannot lead ${group.name} now`;
    throw new RaftKVError("INVALID_ARGUMENT", message, { group: group.name, node: node.name });
  }
  await ports.fleetCommand({ type: "preferLeader", name: group.name, node: node.id });
  const reached = async () => (await ports.leader(group.id)) === node.id;
  await until(ports, `${node.name} leads ${group.name}`, reached);
  return { group: group.name, leader: node.name };
}

/** How a node is drained. */
export interface DrainOptions {
  /** Resolve only once the node holds no voter any more. Default true. */
  readonly wait?: boolean | undefined;
  /** Lets the node hold voters again instead. Default false. */
  readonly undo?: boolean | undefined;
}

/** Has other nodes take over what a node holds; the node goes on serving its callers. */
export async function drain(
  ports: AdminPorts,
  nodeName: string,
  { wait = true, undo = false }: DrainOptions = {},
): Promise<DrainView> {
  const { id, name } = findNode(ports, nodeName);
  await ports.fleetCommand({ type: "drainNode", node: id, drained: !undo });
  const left = () => countingOn(ports, id).length;
  if (undo) return { node: name, left: left(), done: true };
  if (wait) await until(ports, `${name} is drained`, () => left() === 0, ADMIN_DRAIN_MS);
  return { node: name, left: left(), done: left() === 0 };
}

/** The groups that a node votes in, or may still hold a replica of from before. */
export function countingOn(ports: AdminPorts, node: number): FleetGroup[] {
  return [...ports.fleet().groups.values()].filter(
    ({ state, members, leaving }) =>
      state === "active" && (members.includes(node) || leaving.includes(node)),
  );
}

/** Says whether every group goes on without a node. */
export async function safeToStop(ports: AdminPorts, nodeName: string): Promise<SafetyView> {
  const { id, name } = findNode(ports, nodeName);
  const groups = countingOn(ports, id);
  const nodes = new Set(groups.flatMap(({ members }) => members));
  const ids = groups.map((group) => group.id);
  const quorums = await ports.reports.quorumsOf(nodes, ids);
  const gone = ports.unreachable();
  const reasons: { group: string; reason: string }[] = [];
  for (const group of groups) {
    const reason = whyNot(id, quorums.get(group.id), (node) => !gone.has(node));
    if (reason !== null) reasons.push({ group: group.name, reason });
  }
  return { node: name, safe: reasons.length === 0, reasons };
}

/** Why a group would not go on without a node, `null` when it would. */
function whyNot(
  node: number,
  quorum: Quorum | undefined,
  answers: (node: number) => boolean,
): string | null {
  if (quorum === undefined) return "no node leads it at present";
  if (quorum.changing) return "its voters are being changed";
  const { voters } = quorum;
  if (voters.every((voter) => voter.node !== node)) return null;
  if (voters.length === 1) return "the node holds its only replica";
  const able = voters.filter((voter) => voter.node !== node && answers(voter.node));
  const ready = able.filter(({ caughtUp }) => caughtUp).length;
  const needed = majority(voters.length);
  if (ready >= needed) return null;
  const behind = able.length >= needed ? " and have caught up" : "";
  return `only ${ready} of its ${voters.length} voters would answer${behind}, and ${needed} are needed`;
}
