/** What a shard says about hashes that it does not own. */
import { Refusal } from "../machine/machine.ts";
import type { ShardState } from "./state.ts";

/** Is the hash in the range that the shard is about to receive? */
export function isReceivingHash({ status }: ShardState, hash: number): boolean {
  if (status.type !== "awaiting" && status.type !== "extending") return false;
  return hash >= status.start && hash < status.end;
}

/** The group that a hash was handed over to, as far as the shard still knows; else `null`. */
export function movedTo({ status }: ShardState, hash: number): number | null {
  if (status.type === "drained") return status.to;
  if (status.type !== "handedOver" || hash < status.start || hash >= status.end) return null;
  return status.to;
}

/** Why the shard does not answer for a hash that it does not own. */
export function outsideRefusal(state: ShardState, hash: number): Refusal {
  const { status } = state;
  switch (status.type) {
    case "uninitialised":
      return new Refusal("NOT_YET", "the shard owns nothing yet");
    case "drained":
      return moved(status.to);
    case "handedOver":
      if (hash >= status.start && hash < status.end) return moved(status.to);
      break;
    case "awaiting":
    case "extending":
      if (hash >= status.start && hash < status.end) {
        return new Refusal("NOT_YET", "the shard is about to own the key");
      }
      if (status.type === "awaiting") return beside(hash, status.start, status.end);
      break;
    default:
  }
  return beside(hash, state.start, state.end);
}

function moved(group: number): Refusal {
  return new Refusal("MOVED", `the key has moved to the shard of group ${group}`, group);
}

function beside(hash: number, start: number, end: number): Refusal {
  if (hash < start) return new Refusal("BELOW_RANGE", `the shard's range starts at ${start}`);
  return new Refusal("ABOVE_RANGE", `the shard's range ends at ${end}`);
}
