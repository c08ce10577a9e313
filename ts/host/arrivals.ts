/** Reads of a leader under its lease that wait for entries which others may know already. */
import { RaftKVError } from "../errors.ts";

interface Waiting {
  readonly index: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** See the head of this file. */
export class Arrivals {
  private waiting: Waiting[] = [];

  /** Resolves when the entry of this index has been applied. */
  wait(index: number): Promise<void> {
    const last = this.waiting.at(-1);
    // Reads of one moment wait for the same entry.
    if (last?.index === index) return last.promise;
    let resolve: () => void = () => undefined;
    let reject: (error: unknown) => void = () => undefined;
    const promise = new Promise<void>((resolveIt, rejectIt) => {
      resolve = resolveIt;
      reject = rejectIt;
    });
    // A read may have given up by then.
    promise.catch(() => undefined);
    this.waiting.push({ index, promise, resolve, reject });
    return promise;
  }

  /** Everything up to this index has been applied. */
  reached(index: number): void {
    if (this.waiting.length === 0) return;
    const due = this.waiting.filter((waiting) => waiting.index <= index);
    this.waiting = this.waiting.filter((waiting) => waiting.index > index);
    for (const { resolve } of due) resolve();
  }

  /** Ends all that wait: the replica is gone. */
  end(): void {
    const error = new RaftKVError("NO_LEADER", "the replica of the group was closed");
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }
}
