/** Asks before something is changed. */
import { createInterface } from "node:readline/promises";

/** The person at the terminal does not want it, or there is nobody to ask. */
export class NotConfirmed extends Error {}

/** Resolves when the answer is yes. @throws NotConfirmed */
export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw new NotConfirmed("this changes the cluster, and there is no terminal to ask: give --yes");
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new NotConfirmed("nothing was changed");
}
