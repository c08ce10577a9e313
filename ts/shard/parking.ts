/**
 * Commands that reached a receiver before it has opened: kept for a bounded time and amount, then
 * their senders are asked to come again.
 *
 * Once one command was turned away all further ones are, until the transfer is over: a later command
 * of the same sender on the same key must not overtake the one that was turned away.
 */
import { PARKED_BYTES_MAX, PARKED_COMMANDS_MAX, PARKED_TIME_MS_MAX } from "../limits.ts";
import type { Command, CommandOrigin, EntryContext, Result } from "../machine/machine.ts";
import { PARKED, Refusal } from "../machine/machine.ts";

/** A parked command: a copy of what came with its entry. */
export interface ParkedCommand extends Command {
  /** Time of the entry that brought it, in milliseconds since 1970. */
  readonly since: number;
}

/** The parked commands of a shard, see the head of this file. */
export class Parking {
  private commands = new Map<string, ParkedCommand>();
  private bytes = 0;
  private closed = false;

  /** How many are parked. */
  get count(): number {
    return this.commands.size;
  }

  /** Were commands turned away since the transfer began? */
  get isClosed(): boolean {
    return this.closed;
  }

  /** Parks a command; a command that is parked already stays as it is. */
  park(command: Command, length: number, now: number): Refusal | typeof PARKED {
    const name = nameOf(command);
    if (this.commands.has(name)) return PARKED;
    if (
      this.closed ||
      this.commands.size >= PARKED_COMMANDS_MAX ||
      this.bytes + length > PARKED_BYTES_MAX
    ) {
      this.closed = true;
      return notYet();
    }
    this.add(copyOf(command, length, now));
    return PARKED;
  }

  /** Turns everything away once the oldest has waited for too long. */
  expire(context: EntryContext): void {
    for (const { since } of this.commands.values()) {
      if (context.now - since < PARKED_TIME_MS_MAX) return;
      this.closed = true;
      for (const command of this.take()) context.settle(originOf(command), notYet());
      this.closed = true;
      return;
    }
  }

  /** Takes all out, in the order in which they were parked; parking is open again. */
  take(): ParkedCommand[] {
    const commands = this.list();
    this.commands = new Map();
    this.bytes = 0;
    this.closed = false;
    return commands;
  }

  /** All, in the order in which they were parked. */
  list(): ParkedCommand[] {
    return [...this.commands.values()];
  }

  /** Puts a command back that a snapshot holds. */
  add(command: ParkedCommand): void {
    this.commands.set(nameOf(command), command);
    this.bytes += command.bytes.length;
  }

  /** Restores whether commands had been turned away. */
  setClosed(closed: boolean): void {
    this.closed = closed;
  }
}

/** The origin alone, for answers. */
export function originOf({ node, incarnation, request, hash }: CommandOrigin): CommandOrigin {
  return { node, incarnation, request, hash };
}

function nameOf({ node, incarnation, request }: CommandOrigin): string {
  return `${node}/${incarnation}/${request}`;
}

function copyOf(command: Command, length: number, now: number): ParkedCommand {
  const { keyStart, argumentStart, bytes, fingerprint } = command;
  return {
    ...originOf(command),
    fingerprint,
    bytes: bytes.slice(keyStart, keyStart + length),
    keyStart: 0,
    argumentStart: argumentStart - keyStart,
    since: now,
  };
}

function notYet(): Refusal {
  return new Refusal("NOT_YET", "the shard is about to own the key and can park no more commands");
}

/** What `park` returns, for the machine's `apply`. */
export type ParkResult = Result | typeof PARKED;
