/** Light or dark: as the system has it, or as was chosen here. */
import { part, say } from "./dom.ts";

const STORED = "raft-kv-theme";
type Theme = "light" | "dark";

/** Makes the switch work; `changed` is called when other colours are in force. */
export function themeSwitch(changed: () => void): void {
  const button = part<HTMLButtonElement>("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const systems = (): Theme => (system.matches ? "dark" : "light");
  let chosen = read();
  const show = () => {
    const now = chosen ?? systems();
    if (chosen === undefined) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    say(button, now === "dark" ? "Light" : "Dark");
    button.setAttribute("aria-label", `Use ${now === "dark" ? "light" : "dark"} colours`);
    changed();
  };
  button.addEventListener("click", () => {
    const next: Theme = (chosen ?? systems()) === "dark" ? "light" : "dark";
    // Back to what the system has is no choice: it follows the system again.
    chosen = next === systems() ? undefined : next;
    write(chosen);
    show();
  });
  system.addEventListener("change", show);
  show();
}

function read(): Theme | undefined {
  try {
    const stored = localStorage.getItem(STORED);
    return stored === "light" || stored === "dark" ? stored : undefined;
  } catch {
    return undefined;
  }
}

function write(theme: Theme | undefined): void {
  try {
    if (theme === undefined) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, theme);
  } catch {
    // A browser that stores nothing still changes its colours.
  }
}
