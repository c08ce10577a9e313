/**
 * Calls between the hosts of nodes: a message `{ type, ... }` there, an answer or an error back.
 *
 * Promises: whatever arrives is answered and never thrown; an error keeps its code and what is known
 * of its outcome on the way; what is under way on either side is bounded. A call that its handler
 * does not answer ends by the caller's time limit. Only nodes of this cluster may call, except for
 * types that say otherwise.
 */
import { decodeValue, encodeValue } from "../codec/value.ts";
import { ERROR_CODES, type ErrorAction, type ErrorCode, RaftKVError } from "../errors.ts";
import type { HostCall } from "../host/host.ts";
import { CALLS_ANSWERED_AT_ONCE_MAX, CALLS_IN_FLIGHT_MAX } from "../limits.ts";
import type { NativeEngine } from "../native/engine.ts";

/** What one host says to another: values that the codec takes. */
export interface CallMessage {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Who calls. */
export interface Caller {
  readonly node: number;
  readonly incarnation: number;
  /** Does it belong to this cluster? If not, it has none yet. */
  readonly isMember: boolean;
}

/** Answers calls of one type; what it throws becomes the caller's error. */
export type CallHandler = (message: CallMessage, caller: Caller) => unknown;

/** How calls of a type are answered. */
export interface HandlerOptions {
  /** Nodes that have no cluster yet may call as well. */
  readonly fromAnyone?: boolean;
}

/** What a node at an address answered, and who it is. */
export interface AddressReply {
  readonly node: number;
  readonly incarnation: number;
  /** 0: it has no cluster yet. */
  readonly cluster: number;
  readonly address: string;
  readonly reply: unknown;
}

/** What calls need of the engine. */
export type CallEngine = Pick<NativeEngine, "callNode" | "callAddress" | "answerCall">;

interface ErrorImage {
  readonly code: string;
  readonly message: string;
  readonly action: string;
  readonly outcome: string | undefined;
  readonly keyspace: string | undefined;
  readonly shard: string | undefined;
  readonly group: string | undefined;
  readonly node: string | undefined;
}

/** An answer as it crosses. */
type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: ErrorImage };

interface Handling {
  readonly handler: CallHandler;
  readonly fromAnyone: boolean;
}

const KNOWN_CODES = new Set<string>(ERROR_CODES);

/** See the head of this file. */
export class HostCalls {
  private readonly engine: CallEngine;
  private readonly handlers = new Map<string, Handling>();
  private calling = 0;
  private answering = 0;
  private closed: RaftKVError | undefined;

  constructor(engine: CallEngine) {
    this.engine = engine;
  }

  /** Answers calls of this type from now on. */
  handle(type: string, handler: CallHandler, options: HandlerOptions = {}): void {
    this.handlers.set(type, { handler, fromAnyone: options.fromAnyone ?? false });
  }

  /**
   * Calls another node's host; resolves to what its handler answered.
   *
   * @throws what the handler threw; `NO_LEADER` when the message certainly did not get there;
   * `TIMEOUT` when it may have; `OVERLOADED`; `DATA_CLONE`
   */
  async call(node: number, message: CallMessage, timeoutMs: number): Promise<unknown> {
    const body = this.begin(message);
    try {
      return valueIn(await this.engine.callNode(node, body, timeoutMs));
    } finally {
      this.calling--;
    }
  }

  /** Calls the host of whatever node is at an address; throws as `call` does. */
  async callAddress(
    address: string,
    message: CallMessage,
    timeoutMs: number,
  ): Promise<AddressReply> {
    const body = this.begin(message);
    try {
      const answer = await this.engine.callAddress(address, body, timeoutMs);
      const { node, incarnation, cluster } = answer;
      return { node, incarnation, cluster, address: answer.address, reply: valueIn(answer.body) };
    } finally {
      this.calling--;
    }
  }

  /** Takes a call of another node's host and answers it, now or later. Never throws. */
  receive(call: HostCall): void {
    if (this.answering >= CALLS_ANSWERED_AT_ONCE_MAX) {
      this.answer(call.ticket, failure(overloaded("this node answers too many calls already")));
      return;
    }
    this.answering++;
    void this.run(call)
      .catch((error: unknown) => failure(error))
      .then((answer) => {
        this.answering--;
        this.answer(call.ticket, answer);
      });
  }

  /** Refuses calls from now on, both ways. What is under way ends by itself. */
  close(error: RaftKVError): void {
    this.closed ??= error;
  }

  private begin(message: CallMessage): Uint8Array {
    if (this.closed !== undefined) throw this.closed;
    if (this.calling >= CALLS_IN_FLIGHT_MAX) {
      throw overloaded("too many calls to other nodes are under way");
    }
    const body = encodeValue(message);
    this.calling++;
    return body;
  }

  private async run(call: HostCall): Promise<Answer> {
    if (this.closed !== undefined) throw this.closed;
    const message = messageOf(call.body);
    const handling = this.handlers.get(message.type);
    if (handling === undefined) {
      throw refused(`this node does not know calls of type ${JSON.stringify(message.type)}`);
    }
    const { node, incarnation, isMember } = call;
    if (!isMember && !handling.fromAnyone) {
      throw refused(`calls of type ${message.type} are for nodes of this cluster`);
    }
    const value = await handling.handler(message, { node, incarnation, isMember });
    return { ok: true, value };
  }

  private answer(ticket: number, answer: Answer): void {
    let body: Uint8Array;
    try {
      body = encodeValue(answer);
    } catch (error) {
      body = encodeValue(failure(error));
    }
    try {
      this.engine.answerCall(ticket, body);
    } catch {
      // The engine closes: the caller learns that by the end of its connection.
    }
  }
}

function messageOf(body: Uint8Array): CallMessage {
  let message: unknown;
  try {
    message = decodeValue(body);
  } catch (cause) {
    throw refused("the call cannot be read", cause);
  }
  const isMessage =
    typeof message === "object" &&
    message !== null &&
    "type" in message &&
    typeof message.type === "string";
  if (!isMessage) throw refused("the call has no type");
  return message as CallMessage;
}

function valueIn(body: Uint8Array): unknown {
  const answer = decodeValue(body) as Answer | null | undefined;
  if (answer?.ok === true) return answer.value;
  if (answer?.ok === false) throw errorOf(answer.error);
  throw new RaftKVError("INTERNAL", "another node's answer cannot be read");
}

function failure(error: unknown): Answer {
  return { ok: false, error: imageOf(error) };
}

/** The error as plain data; its cause stays on its node. */
function imageOf(error: unknown): ErrorImage {
  if (!(error instanceof RaftKVError)) {
    const message = error instanceof Error ? error.message : String(error);
    return imageOf(new RaftKVError("INTERNAL", message));
  }
  const { code, message, action, outcome, keyspace, shard, group, node } = error;
  return { code, message, action, outcome, keyspace, shard, group, node };
}

/** The error of an image. A newer version's codes are unknown here and become `INTERNAL`. */
function errorOf(image: ErrorImage): RaftKVError {
  const { code, message, action, outcome, keyspace, shard, group, node } = Object(
    image,
  ) as ErrorImage;
  const known = KNOWN_CODES.has(code) ? (code as ErrorCode) : "INTERNAL";
  return new RaftKVError(known, String(message), {
    action: action as ErrorAction,
    outcome: outcome === "unknown" || outcome === "not applied" ? outcome : undefined,
    ...{ keyspace, shard, group, node },
  });
}

function refused(message: string, cause?: unknown): RaftKVError {
  return new RaftKVError("INVALID_ARGUMENT", message, { cause, outcome: "not applied" });
}

function overloaded(message: string): RaftKVError {
  return new RaftKVError("OVERLOADED", message, { outcome: "not applied" });
}
