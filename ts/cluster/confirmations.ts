/**
 * Confirms to the fleet which groups have reached their targets: those that come up while one
 * command is under way go together in the next, so that a thousand new groups are not a thousand
 * entries of the fleet's log.
 */
import type { ReachedTarget } from "../fleet/commands.ts";
import { CONFIRMED_TARGETS_MAX } from "../limits.ts";

interface Waiting {
  readonly target: ReachedTarget;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** See the head of this file. What waits is bounded by its callers: one target per group. */
export class Confirmations {
  private readonly send: (targets: readonly ReachedTarget[]) => Promise<unknown>;
  private waiting: Waiting[] = [];
  private sending = false;

  /** `send` resolves once the fleet has taken the targets. */
  constructor(send: (targets: readonly ReachedTarget[]) => Promise<unknown>) {
    this.send = send;
  }

  /** Resolves once the fleet has taken the target; rejects when the command with it failed. */
  confirm(target: ReachedTarget): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ target, resolve, reject });
      if (this.sending) return;
      this.sending = true;
      // Others of this turn come along.
      setImmediate(() => void this.sendAll());
    });
  }

  private async sendAll(): Promise<void> {
    while (this.waiting.length > 0) {
      const sent = this.waiting.splice(0, CONFIRMED_TARGETS_MAX);
      try {
        await this.send(sent.map(({ target }) => target));
        for (const { resolve } of sent) resolve();
      } catch (error) {
        for (const { reject } of sent) reject(error);
      }
    }
    this.sending = false;
  }
}
