/** Reads a dashboard's stream as its page does. */
import { Messages } from "../../../ts/dashboard/page/messages.ts";
import type { Past, View } from "../../../ts/dashboard/types.ts";

const LIMIT_MS = 20_000;

/** What came: the past, and the first view that is as it should be. */
export interface Seen {
  readonly past: Past;
  readonly view: View;
}

/** Asks for the stream. */
export function openStream(address: string, token?: string, signal?: AbortSignal) {
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  return fetch(`http://${address}/dashboard/stream`, { headers, ...(signal && { signal }) });
}

/** Looks until a view is as it should be. */
export async function look(
  address: string,
  isWanted: (view: View) => boolean,
  token?: string,
): Promise<Seen> {
  const looking = new AbortController();
  const limit = AbortSignal.any([looking.signal, AbortSignal.timeout(LIMIT_MS)]);
  const response = await openStream(address, token, limit);
  if (response.status !== 200) throw new Error(`the stream answered ${response.status}`);
  const messages = new Messages();
  let past: Past | undefined;
  try {
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      for (const { event, data } of messages.add(text)) {
        if (event === "past") past = JSON.parse(data) as Past;
        const view = event === "view" ? (JSON.parse(data) as View) : undefined;
        if (past !== undefined && view !== undefined && isWanted(view)) return { past, view };
      }
    }
    throw new Error("the stream has ended");
  } finally {
    looking.abort();
  }
}
