/**
 * Writes the snapshots that the engine asks for, in slices of the event loop: a few milliseconds of
 * pieces, then the loop's turn, until a machine's writer has given its last piece.
 */
import { SNAPSHOT_PIECE_BYTES_MAX, SNAPSHOT_SLICE_MS_MAX } from "../limits.ts";
import type { SnapshotWriter } from "../machine/machine.ts";
import type { NativeEngine } from "../native/engine.ts";
import type { Replica } from "./replica.ts";

/** How long to wait when the engine has enough pieces to write, in milliseconds. */
const ENGINE_BUSY_MS = 5;

interface Task {
  readonly replica: Replica;
  readonly number: number;
  readonly writer: SnapshotWriter;
  preamble: Uint8Array | undefined;
}

/** The snapshots under way on this node, one slice at a time, one after the other. */
export class Snapshots {
  private readonly engine: NativeEngine;
  private readonly tasks: Task[] = [];
  private timer: NodeJS.Timeout | NodeJS.Immediate | undefined;

  constructor(engine: NativeEngine) {
    this.engine = engine;
  }

  /** Starts a snapshot of the replica's present state. */
  begin(replica: Replica, number: number): void {
    this.cancel(replica);
    try {
      const writer = replica.machine.snapshot();
      this.tasks.push({ replica, number, writer, preamble: replica.preamble() });
      this.schedule();
    } catch (error) {
      this.engine.failSnapshot(replica.group, number, reasonOf(error));
    }
  }

  /** Ends the snapshot of a replica, if one is under way, without telling the engine. */
  cancel(replica: Replica): void {
    const at = this.tasks.findIndex((task) => task.replica === replica);
    if (at < 0) return;
    this.tasks[at]?.writer.close();
    this.tasks.splice(at, 1);
  }

  /** Ends the snapshot of a replica, if one is under way: it is of a state that does not count. */
  fail(replica: Replica, reason: string): void {
    const task = this.tasks.find((task) => task.replica === replica);
    if (task === undefined) return;
    this.cancel(replica);
    this.engine.failSnapshot(replica.group, task.number, reason);
  }

  /** Ends all snapshots. */
  close(): void {
    for (const task of this.tasks) task.writer.close();
    this.tasks.length = 0;
  }

  private schedule(): void {
    this.timer ??= setImmediate(() => this.slice());
  }

  private slice(): void {
    this.timer = undefined;
    const task = this.tasks[0];
    if (task === undefined) return;
    const end = performance.now() + SNAPSHOT_SLICE_MS_MAX;
    let wait = 0;
    try {
      do {
        const more = this.step(task);
        if (more === "done") break;
        if (more === "busy") wait = ENGINE_BUSY_MS;
      } while (wait === 0 && performance.now() < end);
    } catch (error) {
      this.cancel(task.replica);
      this.engine.failSnapshot(task.replica.group, task.number, reasonOf(error));
    }
    if (this.tasks.length === 0) return;
    if (wait === 0) this.schedule();
    else this.timer = setTimeout(() => this.slice(), wait);
  }

  private step(task: Task): "more" | "busy" | "done" {
    const { replica, number, writer } = task;
    const piece = task.preamble ?? writer.next(SNAPSHOT_PIECE_BYTES_MAX);
    task.preamble = undefined;
    if (piece !== null) {
      return this.engine.snapshotPiece(replica.group, number, piece) ? "more" : "busy";
    }
    writer.close();
    this.tasks.shift();
    this.engine.finishSnapshot(replica.group, number);
    return "done";
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
