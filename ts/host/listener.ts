/** What the host tells the rest of the node. */
import type { Result } from "../machine/machine.ts";
import type { Difference } from "./checks.ts";
import type { LogFields } from "./log-line.ts";
import type { Replica } from "./replica.ts";

/** What is told on every node. */
export interface NodeListener {
  /** A request of one of this node's callers was answered. */
  settled(request: number, result: Result): void;
  /** The engine did not take a request; `unknown`: it may have been applied all the same. */
  refused(request: number, group: number, reason: number, unknown: boolean): void;
  /** A group has another leader, or none (0). */
  leaderChanged(replica: Replica): void;
  /** A replica met a defect and was taken out of service. */
  replicaFailed(replica: Replica, error: unknown): void;
  /** Storage failed for good; `kind` as in event 9. */
  storageFailed(kind: number, message: string): void;
  /** A line of the engine's log; `level` as in event 10, `fields` as they are called there. */
  logged(level: number, message: string, fields?: LogFields): void;
}

/** A call of another node's host. */
export interface HostCall {
  /** What the answer is given with. */
  readonly ticket: number;
  /** Node id of the caller. */
  readonly node: number;
  readonly incarnation: number;
  /** Does the caller belong to this cluster? If not, it has none yet. */
  readonly isMember: boolean;
  /** The message; it belongs to the event's buffer and is copied by whoever keeps it. */
  readonly body: Uint8Array;
}

/** How another node is reached; "restarted": its process was started anew. */
export type PeerState = "up" | "down" | "restarted";

/** What is told on a node that has other nodes. */
export interface ClusterListener {
  /** A leader has a member here. The group is open without its code, until `bindGroup`. */
  memberWanted(group: number, descriptor: Uint8Array): void;
  /** This node is no member of the group any more; its replica is gone. */
  memberRemoved(group: number): void;
  /** Another node's host calls. */
  called(call: HostCall): void;
  /** Another node is reached, or is not. */
  peerChanged(node: number, state: PeerState, incarnation: number): void;
  /** A node, 0 if it is not known, was refused or refuses this one; `reason` as in event 19. */
  streamRefused(node: number, reason: number, message: string): void;
}

/** What is told where replicas compare their states. */
export interface StateListener {
  /** A replica's state is not its leader's: it is in quarantine now. */
  replicaDiffers(replica: Replica, difference: Difference): void;
  /** A replica that was in quarantine serves again. */
  replicaServesAgain(replica: Replica): void;
  /** This node was elected to lead a replica's group. It is in quarantine here. */
  quarantinedElected(replica: Replica): void;
}

/** See the head of this file. */
export interface HostListener
  extends NodeListener,
    Partial<ClusterListener>,
    Partial<StateListener> {}
