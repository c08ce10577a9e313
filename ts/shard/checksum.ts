/**
 * The checksum of a shard's replicated state: equal on equal replicas, different else.
 *
 * It covers owned range, status, change count, statistics, parked commands, and of each entry key,
 * value, size and version. It leaves out what belongs to a node (load), and what follows from the
 * rest (the key index, a transfer's notes). Its cost is that of encoding the whole state, in slices.
 */

import { Checksum } from "../machine/checksum.ts";
import type { ChecksumPass } from "../machine/machine.ts";
import { writeComparableEntry } from "./entry-bytes.ts";
import { originOf } from "./parking.ts";
import { headerOf } from "./snapshot.ts";
import type { ShardState } from "./state.ts";
import { StateView } from "./view.ts";

/** See the head of this file. */
export class ShardChecksum implements ChecksumPass {
  private readonly sum = new Checksum();
  private readonly view: StateView;
  private bytes = 0;

  constructor(state: ShardState) {
    // Marks are of the sessions, which replicas compare by themselves.
    const { marks: _sessions, ...header } = headerOf(state);
    this.sum.addValue(header);
    for (const command of state.parking.list()) this.sum.addValue(originOf(command));
    this.view = new StateView(state, (entry) => {
      writeComparableEntry(this.sum.writer, entry);
      this.bytes += this.sum.writer.length;
      this.sum.addWritten();
    });
  }

  next(bytes: number): string | null {
    const end = this.bytes + bytes;
    const isEnough = () => this.bytes >= end;
    while (!isEnough()) {
      if (this.view.walk(isEnough)) continue;
      this.close();
      return this.sum.toString();
    }
    return null;
  }

  close(): void {
    this.view.close();
  }
}
