/**
 * What the admin server answers: a table of routes. Each area has its file with its routes; a route
 * gets a request that was let in and read, and says what to answer.
 */
import type { Json } from "../types.ts";

/** A request that was let in. */
export interface AdminRequest {
  readonly query: URLSearchParams;
  /** The body of a POST; an empty one counts as `{}`. */
  readonly body: { readonly [name: string]: Json };
  /** Aborted when the one who asked is gone, or the server closes. */
  readonly signal: AbortSignal;
}

/** Takes the next part of a streamed answer; resolves when there is room for more. */
export type SendPart = (part: string) => Promise<void>;

/** What is answered. */
export type AdminAnswer =
  | { readonly status?: number; readonly json: Json }
  | {
      readonly status?: number;
      readonly type: string;
      readonly text: string;
      /** Besides those that every answer has. */
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Sent as it comes, such as server-sent events; ends with the promise or the signal. */
  | { readonly type: string; readonly stream: (send: SendPart) => Promise<void> };

/** One path with one method. */
export interface Route {
  /** A POST may change something: it takes JSON only, and not from other sites' pages. */
  readonly method: "GET" | "POST";
  /** As it stands in the request, such as `/v1/status`. */
  readonly path: string;
  /** May be asked without the token, as probes do: it tells nothing worth keeping. */
  readonly open?: boolean;
  /** How long a body may be, where that is more than usual. */
  readonly bodyBytesMax?: number;
  answer(request: AdminRequest): AdminAnswer | Promise<AdminAnswer>;
}
