/**
 * The stream from the node. It comes back by itself: soon at first, then less often, and also when
 * a connection is there that says nothing any more. Read with `fetch`, as an EventSource cannot
 * show a token.
 */
import type { Past, View } from "../types.ts";
import { Messages } from "./messages.ts";

/** How the stream is. */
export type Condition =
  | { readonly name: "connecting" }
  | { readonly name: "live" }
  /** It is tried again by itself. */
  | { readonly name: "lost"; readonly reason: string }
  /** The server wants a token, or another one. */
  | { readonly name: "refused" };

/** What is told of the stream. */
export interface Listener {
  onPast(past: Past): void;
  onView(view: View): void;
  onCondition(condition: Condition): void;
}

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 5_000;
/** A message comes each second; without one for so long the connection is taken for dead. */
const SILENCE_MS = 8_000;

/** See the head of this file. */
export class Stream {
  private readonly listener: Listener;
  private token: string | undefined;
  private round = 0;
  private attempts = 0;

  constructor(listener: Listener, token: string | undefined) {
    this.listener = listener;
    this.token = token;
  }

  /** Begins; with another token when one is given. What ran before ends. */
  start(token = this.token): void {
    this.token = token;
    this.attempts = 0;
    this.listener.onCondition({ name: "connecting" });
    void this.run(++this.round);
  }

  private async run(round: number): Promise<void> {
    while (round === this.round) {
      const reason = await this.once(round);
      if (round !== this.round) return;
      if (reason === undefined) {
        this.listener.onCondition({ name: "refused" });
        return;
      }
      this.listener.onCondition({ name: "lost", reason });
      const wait = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.attempts++);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** Reads until the end; gives why it ended, `undefined` when the token is not the right one. */
  private async once(round: number): Promise<string | undefined> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const headers = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
      const { signal } = silence;
      const response = await fetch("dashboard/stream", { headers, signal, cache: "no-store" });
      if (response.status === 401) return undefined;
      if (!response.ok || response.body === null) return await reasonOf(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const messages = new Messages();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "the node ended the stream";
        if (round !== this.round) {
          silence.abort();
          return "";
        }
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        for (const message of messages.add(value)) this.take(message.event, message.data);
      }
    } catch {
      return silence.signal.aborted ? "the node says nothing any more" : "the node does not answer";
    } finally {
      clearTimeout(timer);
    }
  }

  private take(event: string, data: string): void {
    if (event === "past") this.listener.onPast(JSON.parse(data) as Past);
    if (event !== "view") return;
    this.attempts = 0;
    this.listener.onCondition({ name: "live" });
    this.listener.onView(JSON.parse(data) as View);
  }
}

async function reasonOf(response: Response): Promise<string> {
  const answer: unknown = await response.json().catch(() => null);
  const { error } = Object(answer) as { error?: { message?: string } };
  return error?.message ?? `the server answered ${response.status}`;
}
