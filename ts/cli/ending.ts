/** Verbs that go on until they are asked to end. */
import { once } from "node:events";

/** How often the process is woken: what is open meanwhile holds none. */
const HOLD_MS = 60_000;

/** Resolves when the process is asked to end, by Ctrl-C or from elsewhere; holds it until then. */
export async function askedToEnd(): Promise<void> {
  const held = setInterval(() => undefined, HOLD_MS);
  await Promise.race(["SIGINT", "SIGTERM"].map((name) => once(process, name)));
  clearInterval(held);
}
