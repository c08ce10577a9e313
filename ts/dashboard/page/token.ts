/** The token: from the link's last part or from a form, kept for this tab alone. */
import { part, say } from "./dom.ts";

const STORED = "raft-kv-token";

/** The token of the link, which is then taken out of the address, else the one that is kept. */
export function givenToken(): string | undefined {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null && given !== "") {
    history.replaceState(null, "", location.pathname + location.search);
    keep(given);
    return given;
  }
  try {
    return sessionStorage.getItem(STORED) ?? undefined;
  } catch {
    return undefined;
  }
}

/** The form that asks for a token. */
export class TokenForm {
  private readonly form = part<HTMLFormElement>("token");
  private readonly input = part<HTMLInputElement>("token-text");
  private asked = false;

  constructor(given: (token: string) => void) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.input.value.trim();
      keep(token);
      this.asked = true;
      given(token);
    });
  }

  /** Asks; again, when the one that was given is not the right one. */
  show(): void {
    this.form.hidden = false;
    say(part("token-problem"), this.asked ? "That is not the token of this server." : "");
    this.input.select();
    this.input.focus();
  }

  hide(): void {
    this.form.hidden = true;
  }
}

function keep(token: string): void {
  try {
    sessionStorage.setItem(STORED, token);
  } catch {
    // It is asked for again after a reload.
  }
}
