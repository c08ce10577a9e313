/** The events about other nodes that concern no replica of this one: read, and told on. */
import { EVENT_TYPE, PEER_STATE } from "../native/frames.ts";
import { type Drained, readBytes, readLong, readUtf8 } from "./drained.ts";
import type { ClusterListener, PeerState } from "./listener.ts";

const PEER_STATES = new Map<number, PeerState>([
  [PEER_STATE.up, "up"],
  [PEER_STATE.down, "down"],
  [PEER_STATE.restarted, "restarted"],
]);

/** Words of the event "call" behind its header. */
const CALL = { ticket: 0, node: 2, incarnation: 4, isMember: 5, body: 6 } as const;

/** Tells the listener of an event whose rest begins at word `rest`. */
export function tellCluster(
  listener: Partial<ClusterListener>,
  type: number,
  group: number,
  from: Drained,
  rest: number,
): void {
  const { words } = from;
  switch (type) {
    case EVENT_TYPE.memberWanted:
      listener.memberWanted?.(group, new Uint8Array(readBytes(from, rest)));
      break;
    case EVENT_TYPE.memberRemoved:
      listener.memberRemoved?.(group);
      break;
    case EVENT_TYPE.call:
      listener.called?.({
        ticket: readLong(words, rest + CALL.ticket),
        node: readLong(words, rest + CALL.node),
        incarnation: words[rest + CALL.incarnation] as number,
        isMember: words[rest + CALL.isMember] === 1,
        body: readBytes(from, rest + CALL.body),
      });
      break;
    case EVENT_TYPE.peerChanged: {
      const state = PEER_STATES.get(words[rest + 2] as number);
      if (state === undefined) break;
      listener.peerChanged?.(readLong(words, rest), state, words[rest + 3] as number);
      break;
    }
    case EVENT_TYPE.streamRefused:
      listener.streamRefused?.(
        readLong(words, rest),
        words[rest + 2] as number,
        readUtf8(from, rest + 3),
      );
      break;
  }
}
