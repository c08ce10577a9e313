/**
 * The statuses of a shard, all in one place. What a status owns and answers is in the table of
 * ARCHITECTURE.md's section on range transfer; the owned range itself is in `ShardState`.
 *
 * A shard's table holds the entries of its owned range and of at most one range in transfer; the
 * two never overlap, so a hash alone tells what an entry is: owned, frozen or buffered.
 */
import type { RetainedResult, SessionMark } from "../machine/machine.ts";
import type { ChangeLog } from "./changes.ts";
import type { ShardEntry } from "./entry.ts";
import type { Tally, TallyImage } from "./tally.ts";

/** A range of hashes, end excluded. */
export interface HashRange {
  readonly start: number;
  readonly end: number;
}

interface Transfer extends HashRange {
  readonly transfer: number;
}

/** Receiver of a split that has not been told so yet: owns nothing, knows nothing. */
export interface Uninitialised {
  readonly type: "uninitialised";
}

/** Owns its range; no transfer runs. */
export interface Serving {
  readonly type: "serving";
}

/** Sender that still owns and serves the range, and notes what changes in it. */
export interface Copying extends Transfer {
  readonly type: "copying";
  /** Group that receives the range. */
  readonly to: number;
  readonly changes: ChangeLog;
  /** The entries of the range as they are now. */
  readonly tally: Tally;
}

/** Sender that gave the range up and keeps its entries, frozen, until the receiver has opened. */
export interface HandedOver extends Transfer {
  readonly type: "handedOver";
  readonly to: number;
  readonly changes: ChangeLog;
  readonly tally: Tally;
  /** The change count at the hand-over. */
  readonly clock: number;
  /** Index of the hand-over in the log. */
  readonly index: number;
  /** Retry results of the range at the hand-over. */
  readonly results: readonly RetainedResult[];
  /** How far each session had acknowledged at the hand-over. */
  readonly marks: readonly SessionMark[];
}

/** Sender after a merge: owns nothing, knows where everything went. */
export interface Drained {
  readonly type: "drained";
  readonly transfer: number;
  readonly to: number;
}

/** Receiver that fills its buffer: `awaiting` in a split (owns nothing), `extending` in a merge. */
export interface Receiving extends Transfer {
  readonly type: "awaiting" | "extending";
  /** Group that sends the range. */
  readonly from: number;
  /** The entries of the buffer. */
  readonly tally: Tally;
  /** Entries of the buffer that were removed; some may have come back. */
  readonly tombstones: Set<ShardEntry>;
}

/** What a shard is in. */
export type ShardStatus = Uninitialised | Serving | Copying | HandedOver | Drained | Receiving;

/** The latest transfer that is over here, and how it ended; lower numbers are over as well. */
export interface EndedTransfer {
  readonly transfer: number;
  readonly outcome: "completed" | "aborted";
}

/** A status as plain data, for snapshots, digests and the status query. */
export interface StatusImage {
  readonly type: ShardStatus["type"];
  readonly transfer?: number;
  readonly start?: number;
  readonly end?: number;
  /** The other group of the transfer. */
  readonly peer?: number;
  readonly since?: number;
  readonly clock?: number;
  readonly index?: number;
  readonly tally?: TallyImage;
}

/** The plain data of a status, without what is written entry by entry. */
export function statusImage(status: ShardStatus): StatusImage {
  switch (status.type) {
    case "uninitialised":
    case "serving":
      return { type: status.type };
    case "drained":
      return { type: status.type, transfer: status.transfer, peer: status.to };
    case "copying":
    case "handedOver": {
      const { type, transfer, start, end, to, changes, tally } = status;
      const clock =
        status.type === "handedOver" ? { clock: status.clock, index: status.index } : {};
      const { since } = changes;
      return { type, transfer, start, end, peer: to, since, tally: tally.image(), ...clock };
    }
    default: {
      const { type, transfer, start, end, from, tally } = status;
      return { type, transfer, start, end, peer: from, tally: tally.image() };
    }
  }
}
