/** Timers of virtual time, earliest first; those of one moment fire in the order they were set. */

interface Timer {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | null;
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export class Timers {
  private readonly heap: Timer[] = [];
  private orders = 0;

  /** Sets a timer; the answer cancels it. */
  add(at: number, callback: () => void): () => void {
    const timer: Timer = { at, order: this.orders++, callback };
    const { heap } = this;
    heap.push(timer);
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!isBefore(heap[child]!, heap[parent]!)) break;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      child = parent;
    }
    return () => {
      timer.callback = null;
    };
  }

  /** Takes the next timer that is due by then. */
  next(limit: number): { readonly at: number; readonly callback: () => void } | undefined {
    for (;;) {
      const [first] = this.heap;
      if (first === undefined || (first.callback !== null && first.at > limit)) return undefined;
      this.removeFirst();
      const { at, callback } = first;
      if (callback !== null) return { at, callback };
    }
  }

  private removeFirst(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ; ) {
      let least = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
      }
      if (least === parent) return;
      [heap[parent], heap[least]] = [heap[least]!, heap[parent]!];
      parent = least;
    }
  }
}

/** A clock that stands still until a test moves it on, with timers by it. */
export class VirtualClock {
  now = 0;
  private readonly timers = new Timers();

  /** Calls back once after so many milliseconds; the answer cancels it. */
  schedule(delay: number, callback: () => void): () => void {
    return this.timers.add(this.now + delay, callback);
  }

  /** Lets time pass, and fires what is due meanwhile. */
  advance(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (;;) {
      const due = this.timers.next(end);
      if (due === undefined) break;
      this.now = due.at;
      due.callback();
    }
    this.now = end;
  }
}
