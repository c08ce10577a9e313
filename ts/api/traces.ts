/**
 * Traces of calls for `node:diagnostics_channel`: the tracing channels `raft-kv:command` and
 * `raft-kv:query`, as Node's own: start, end (the call returned its promise), and when that is
 * settled error (where it failed), asyncStart, asyncEnd. While nobody listens a call only asks so.
 */
import { tracingChannel } from "node:diagnostics_channel";
import type { CallSettings } from "../client/call.ts";
import { RaftKVError } from "../errors.ts";

/** What the messages of one call tell; all five are the same object. */
export interface CallTrace {
  /** The node that the program called, where it is active. */
  readonly node?: string;
  /** Of a call on a key. */
  readonly keyspace?: string;
  /** Of a call of `RaftFleet`. */
  readonly group?: string;
  /** Only with the option `traceArguments`. */
  readonly key?: unknown;
  /** Only with the option `traceArguments`. */
  readonly argument?: unknown;
  /** How often the call was sent so far; 1, unless no leader took it, none answered, or the key moved. */
  attempts: number;
  /** Set when the call is settled: "ok", or what is known of a failed command's effect. */
  outcome?: "ok" | "not applied" | "unknown";
  /** What the call failed with; a `RaftKVError`. */
  error?: unknown;
}

/** A tracing channel of calls. */
class CallTraces {
  private readonly channel;

  constructor(name: string) {
    this.channel = tracingChannel<unknown, CallTrace>(name);
  }

  /** Does anybody listen? Looked at by every call. */
  get heard(): boolean {
    const { start, end, asyncStart, asyncEnd, error } = this.channel;
    return (
      start.hasSubscribers ||
      asyncEnd.hasSubscribers ||
      error.hasSubscribers ||
      end.hasSubscribers ||
      asyncStart.hasSubscribers
    );
  }

  /** Makes a call and tells of it. Its settings count its attempts into the trace. */
  run<T>(
    trace: CallTrace,
    call: CallSettings,
    make: (call: CallSettings) => Promise<T>,
  ): Promise<T> {
    const { start, end, asyncStart, asyncEnd, error } = this.channel;
    const settled = () => {
      asyncStart.publish(trace);
      asyncEnd.publish(trace);
    };
    const made = start.runStores(trace, () => {
      try {
        return make({ ...call, trace });
      } catch (reason) {
        return Promise.reject(reason);
      } finally {
        end.publish(trace);
      }
    });
    return made.then(
      (value) => {
        trace.outcome = "ok";
        settled();
        return value;
      },
      (reason) => {
        trace.error = reason;
        trace.outcome = (reason instanceof RaftKVError && reason.outcome) || "not applied";
        error.publish(trace);
        settled();
        throw reason;
      },
    );
  }
}

/** Of commands on keys and of groups. */
export const COMMAND_TRACES: CallTraces = new CallTraces("raft-kv:command");

/** Of queries. */
export const QUERY_TRACES: CallTraces = new CallTraces("raft-kv:query");
