/** Notes what reaches the process as unhandled while a test runs; none may. */
import { afterEach, beforeEach, expect } from "vitest";
import { sleep } from "./waiting.ts";

const seen: unknown[] = [];
const note = (reason: unknown) => void seen.push(reason);

/** Makes every test of the file fail after which a rejection or exception was left unhandled. */
export function nothingUnhandled(): void {
  let others: NodeJS.UnhandledRejectionListener[] = [];
  let thrown: NodeJS.UncaughtExceptionListener[] = [];
  beforeEach(() => {
    others = process.listeners("unhandledRejection");
    thrown = process.listeners("uncaughtException");
    process.removeAllListeners("unhandledRejection");
    process.removeAllListeners("uncaughtException");
    process.on("unhandledRejection", note);
    process.on("uncaughtException", note);
  });
  afterEach(async () => {
    // A rejection counts as unhandled once its turn of the event loop has ended.
    await sleep(1);
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
    for (const listener of others) process.on("unhandledRejection", listener);
    for (const listener of thrown) process.on("uncaughtException", listener);
    expect(seen.splice(0)).toEqual([]);
  });
}
