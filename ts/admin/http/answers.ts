/** Writes answers and errors of the admin server. */
import type { ServerResponse } from "node:http";
import { type ErrorCode, RaftKVError } from "../../errors.ts";
import type { AdminAnswer, SendPart } from "./route.ts";

const STATUS: Partial<Record<ErrorCode, number>> = {
  ACCESS_DENIED: 401,
  NOT_FOUND: 404,
  NO_SUCH_KEYSPACE: 404,
  NO_SUCH_SHARD: 404,
  SHARD_BUSY: 409,
  SPLIT_IMPOSSIBLE: 409,
  MERGE_IMPOSSIBLE: 409,
  NOT_ACTIVE: 503,
  TIMEOUT: 504,
};
const STATUS_OF_ACTION = { fix: 400, retry: 503, reopen: 503, report: 500 } as const;

/** What every answer carries: nothing is kept, guessed or shown within other pages. */
const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
};

/** Writes an answer to its end. */
export async function writeAnswer(
  response: ServerResponse,
  answer: AdminAnswer,
  signal: AbortSignal,
): Promise<void> {
  if ("json" in answer) {
    write(response, answer.status ?? 200, "application/json; charset=utf-8", toText(answer.json));
  } else if ("text" in answer) {
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      response.setHeader(name, value);
    }
    write(response, answer.status ?? 200, answer.type, answer.text);
  } else {
    response.writeHead(200, { ...HEADERS, "content-type": answer.type });
    response.flushHeaders();
    await answer.stream(sender(response, signal));
    response.end();
  }
}

/** Writes an error with its code; what is no error of ours is told without its text. */
export function writeError(response: ServerResponse, error: unknown, status?: number): void {
  const known =
    error instanceof RaftKVError
      ? error
      : new RaftKVError("INTERNAL", "the request failed for a reason that was not foreseen");
  const { code, message, action, outcome, keyspace, shard, group, node } = known;
  const image = { code, message, action, outcome, keyspace, shard, group, node };
  const text = `${JSON.stringify({ error: image })}\n`;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const fitting = status ?? STATUS[code] ?? STATUS_OF_ACTION[action];
  // The rest of a body that is not read would be taken for the next request.
  response.setHeader("connection", "close");
  write(response, fitting, "application/json; charset=utf-8", text);
}

function toText(json: unknown): string {
  return `${JSON.stringify(json)}\n`;
}

function write(response: ServerResponse, status: number, type: string, text: string): void {
  const length = Buffer.byteLength(text);
  response.writeHead(status, { ...HEADERS, "content-type": type, "content-length": length });
  response.end(text);
}

function sender(response: ServerResponse, signal: AbortSignal): SendPart {
  return async (part) => {
    if (signal.aborted || response.write(part)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        response.off("drain", done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      response.once("drain", done);
      signal.addEventListener("abort", done, { once: true });
    });
  };
}
