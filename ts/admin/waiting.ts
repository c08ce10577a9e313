/** Waiting for the cluster to get where an operator wants it. */
import { pause } from "../client/pause.ts";
import { RaftKVError } from "../errors.ts";
import { ADMIN_POLL_MS, ADMIN_WAIT_MS } from "../limits.ts";
import type { AdminPorts } from "./ports.ts";

/** Resolves once `reached` says so. @throws `TIMEOUT`: what was asked for goes on by itself */
export async function until(
  ports: AdminPorts,
  what: string,
  reached: () => boolean | Promise<boolean>,
  limit: number = ADMIN_WAIT_MS,
): Promise<void> {
  const end = performance.now() + limit;
  while (!(await reached())) {
    ports.checkOpen();
    if (performance.now() > end) {
      const seconds = Math.round(limit / 1000);
      const message = `${what}: not within ${seconds} s. It goes on by itself; look at it again later`;
      throw new RaftKVError("TIMEOUT", message, { outcome: "unknown" });
    }
    await pause(ADMIN_POLL_MS);
  }
}
