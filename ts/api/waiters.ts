/** Promises that wait for something to become true of a group, within a time limit. */

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** See the head of this file. */
export class Waiters<T> {
  private readonly waiting = new Map<number, Set<Waiter<T>>>();

  /** The groups that are waited for. */
  get groups(): readonly number[] {
    return [...this.waiting.keys()];
  }

  /** Resolves by `resolve(group, ...)`; rejects with `late()` after so many milliseconds. */
  wait(group: number, limit: number, late: () => unknown): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiters = this.waiting.get(group) ?? new Set();
      this.waiting.set(group, waiters);
      const timer = setTimeout(() => {
        waiters.delete(waiter);
        if (waiters.size === 0 && this.waiting.get(group) === waiters) this.waiting.delete(group);
        reject(late());
      }, limit);
      const waiter = { resolve, reject, timer };
      waiters.add(waiter);
    });
  }

  /** It is true of the group now. */
  resolve(group: number, value: T): void {
    const waiters = this.waiting.get(group);
    this.waiting.delete(group);
    for (const { resolve, timer } of waiters ?? []) {
      clearTimeout(timer);
      resolve(value);
    }
  }

  /** It will never be. */
  rejectAll(error: unknown): void {
    for (const waiters of this.waiting.values()) {
      for (const { reject, timer } of waiters) {
        clearTimeout(timer);
        reject(error);
      }
    }
    this.waiting.clear();
  }
}
