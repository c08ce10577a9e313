import { describe, expect, test } from "vitest";
import { Confirmations } from "../../ts/cluster/confirmations.ts";
import type { ReachedTarget } from "../../ts/fleet/commands.ts";
import { CONFIRMED_TARGETS_MAX } from "../../ts/limits.ts";
import { eventually } from "../node/support/waiting.ts";

const target = (group: number): ReachedTarget => ({ group, version: 1, members: [1] });

/** Commands that are answered by hand. */
class Commands {
  readonly sent: number[][] = [];
  private readonly answers: ((error?: Error) => void)[] = [];

  readonly send = (targets: readonly ReachedTarget[]): Promise<void> => {
    this.sent.push(targets.map(({ group }) => group));
    return new Promise((resolve, reject) => {
      this.answers.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  };

  async answer(error?: Error): Promise<void> {
    await eventually("a command was sent", async () => this.answers.length > 0);
    this.answers.shift()?.(error);
  }
}

describe("confirmations", () => {
  test("that come up together, or while a command is under way, go in one", async () => {
    const commands = new Commands();
    const confirmations = new Confirmations(commands.send);
    const first = [1, 2, 3].map((group) => confirmations.confirm(target(group)));
    await eventually("a command was sent", async () => commands.sent.length > 0);
    const later = [4, 5].map((group) => confirmations.confirm(target(group)));
    await commands.answer();
    await Promise.all(first);
    await commands.answer();
    await Promise.all(later);
    expect(commands.sent).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test("a command holds a limited number, and the next one the rest", async () => {
    const commands = new Commands();
    const confirmations = new Confirmations(commands.send);
    const groups = Array.from({ length: CONFIRMED_TARGETS_MAX * 2 + 1 }, (_, at) => at);
    const all = Promise.all(groups.map((group) => confirmations.confirm(target(group))));
    for (let left = 3; left > 0; left--) await commands.answer();
    await all;
    expect(commands.sent.flat()).toEqual(groups);
    expect(commands.sent.map(({ length }) => length)).toEqual([
      CONFIRMED_TARGETS_MAX,
      CONFIRMED_TARGETS_MAX,
      1,
    ]);
  });

  test("a command that fails fails for its own groups only", async () => {
    const commands = new Commands();
    const confirmations = new Confirmations(commands.send);
    const first = confirmations.confirm(target(1));
    await eventually("a command was sent", async () => commands.sent.length > 0);
    const second = confirmations.confirm(target(2));
    const failed = expect(first).rejects.toThrow("no leader");
    await commands.answer(new Error("no leader"));
    await failed;
    await commands.answer();
    await second;
    // Nothing is left over, and the next one starts anew.
    const third = confirmations.confirm(target(3));
    await commands.answer();
    await third;
    expect(commands.sent).toEqual([[1], [2], [3]]);
  });
});
