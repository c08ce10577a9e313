/** Engines, command records and events for the tests of the boundary. */

import { type EngineOptions, type NativeEngine, openEngine } from "../../ts/native/engine.ts";
import { EVENT, EVENT_TYPE, FLAG_RETRY, RECORD, ROUTE_GROUP } from "../../ts/native/frames.ts";

export const OPTIONS: EngineOptions = {
  dataDir: ":memory:",
  durability: "fsync",
  clusterName: "boundary",
  heartbeatInterval: 250,
  electionTimeout: 1000,
  logLevel: "error",
};

/** One event, as far as all events are alike. */
export interface Event {
  readonly type: number;
  readonly group: number;
  /** The words behind the header. */
  readonly words: Int32Array;
  readonly bytes: Buffer;
}

/** Splits a buffer into its events; throws where the layout is not as promised. */
export function eventsOf(buffer: Buffer): Event[] {
  if (buffer.byteOffset !== 0 || buffer.buffer.byteLength !== buffer.length) {
    throw new Error("the buffer does not have an ArrayBuffer of its own");
  }
  const words = new Int32Array(buffer.buffer);
  const events: Event[] = [];
  for (let at = 0; at < words.length; ) {
    const length = words[at + EVENT.length]!;
    if (length < 12 || length % 4 !== 0) throw new Error(`an event of ${length} bytes`);
    events.push({
      type: words[at + EVENT.type]!,
      group: words[at + EVENT.group]!,
      words: words.subarray(at + EVENT.rest, at + length / 4),
      bytes: buffer.subarray(at * 4, at * 4 + length),
    });
    at += length / 4;
  }
  return events;
}

/** Collects what an engine gives, and answers "leader ready" as a host does. */
export class Collector {
  readonly events: Event[] = [];
  private readonly waiting = new Set<() => void>();
  engine: NativeEngine | undefined;

  readonly onEvents = (buffer: Buffer, more: boolean): void => {
    this.take(buffer);
    if (!more) return;
    for (let next = this.engine?.drain(4096); next; next = this.engine?.drain(4096)) {
      this.take(next);
    }
  };

  take(buffer: Buffer): void {
    for (const event of eventsOf(buffer)) {
      this.events.push(event);
      if (event.type === EVENT_TYPE.leaderReady) {
        this.engine?.hostReady(event.group, event.words[0]!);
      }
    }
    for (const look of [...this.waiting]) look();
  }

  of(type: number): Event[] {
    return this.events.filter((event) => event.type === type);
  }

  /** Resolves once `condition` holds; the test's own time limit ends a wait in vain. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
    });
  }
}

/** Opens an engine with a collector. */
export async function open(options: Partial<EngineOptions> = {}) {
  const collector = new Collector();
  const engine = await openEngine({ ...OPTIONS, ...options }, collector.onEvents);
  collector.engine = engine;
  return { engine, collector };
}

/** A command record to a group, without a key. */
export function record(group: number, request: number, argument: Uint8Array, retry = false) {
  const length = (RECORD.headerBytes + argument.length + 3) & ~3;
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer);
  words[RECORD.length] = length;
  words[RECORD.route] = (ROUTE_GROUP | group) >>> 0;
  words[RECORD.request] = request;
  words[RECORD.key] = retry ? FLAG_RETRY : 0;
  bytes.set(argument, RECORD.headerBytes);
  return bytes;
}

/** Whether an entry event carries these bytes. */
export function carries(event: Event, argument: Uint8Array): boolean {
  return event.bytes.includes(Buffer.from(argument));
}
