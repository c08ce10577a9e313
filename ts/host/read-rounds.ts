/**
 * Rounds by which a leader without a lease makes sure that it leads: a read that began before the
 * round was sent may be answered after it, from what has been applied here by then.
 *
 * A group has one round under way at a time; reads that begin meanwhile share the next one.
 */
import { RaftKVError } from "../errors.ts";
import type { NativeEngine } from "../native/engine.ts";

interface Round {
  readonly number: number;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface GroupRounds {
  sent: Round | undefined;
  next: Round | undefined;
}

/** See the head of this file. */
export class ReadRounds {
  private readonly engine: Pick<NativeEngine, "readIndex">;
  private readonly groups = new Map<number, GroupRounds>();
  private number = 0;

  constructor(engine: Pick<NativeEngine, "readIndex">) {
    this.engine = engine;
  }

  /** Resolves when a read that begins now may be answered; rejects when nobody confirmed it. */
  wait(group: number): Promise<void> {
    let rounds = this.groups.get(group);
    if (rounds === undefined) {
      rounds = { sent: undefined, next: undefined };
      this.groups.set(group, rounds);
    }
    if (rounds.next === undefined) {
      rounds.next = newRound(++this.number);
      // Reads of the same tick are in it; while another is under way its end sends this one.
      if (rounds.sent === undefined) queueMicrotask(() => this.send(group));
    }
    return rounds.next.done;
  }

  /** The event "read ready": everything that the round's reads must see has been applied here. */
  ready(group: number, number: number): void {
    const round = this.groups.get(group)?.sent;
    if (round?.number !== number) return;
    round.resolve();
    this.over(group);
  }

  /** Ends all that wait for the group: it has no replica here any more. */
  end(group: number): void {
    const rounds = this.groups.get(group);
    this.groups.delete(group);
    const error = new RaftKVError("NO_LEADER", "the replica of the group was closed");
    rounds?.sent?.reject(error);
    rounds?.next?.reject(error);
  }

  private send(group: number): void {
    const rounds = this.groups.get(group);
    if (rounds?.next === undefined || rounds.sent !== undefined) return;
    const round = rounds.next;
    rounds.next = undefined;
    rounds.sent = round;
    this.engine.readIndex(group, round.number).catch((error: unknown) => {
      round.reject(error);
      if (this.groups.get(group)?.sent === round) this.over(group);
    });
  }

  private over(group: number): void {
    const rounds = this.groups.get(group);
    if (rounds === undefined) return;
    rounds.sent = undefined;
    if (rounds.next === undefined) this.groups.delete(group);
    else this.send(group);
  }
}

function newRound(number: number): Round {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const done = new Promise<void>((resolveIt, rejectIt) => {
    resolve = resolveIt;
    reject = rejectIt;
  });
  // A read may have given up by then; the others hear of the failure all the same.
  done.catch(() => undefined);
  return { number, done, resolve, reject };
}
