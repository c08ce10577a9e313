/** Every example runs as it stands, and ends by itself; what it says is what it promises. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { startCommand } from "../process/support/programs.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));

async function outputOf(example: string): Promise<string> {
  const running = startCommand(process.execPath, [join(EXAMPLES, example, "main.mjs")]);
  const { code, output, errors } = await running.ended;
  expect(errors).toBe("");
  expect(code).toBe(0);
  return output;
}

it("rate-limiter: three of five requests pass, and the other client is not disturbed", async () => {
  const output = await outputOf("rate-limiter");
  expect(output.match(/of 10\.0\.0\.7 passes/g)).toHaveLength(3);
  expect(output.match(/of 10\.0\.0\.7 waits \d+ s/g)).toHaveLength(2);
  expect(output).toContain("of 10.0.0.8 passes, 2 left");
});

it("shopping-cart: no lamp is promised twice", async () => {
  expect(await outputOf("shopping-cart")).toBe(
    [
      "ada puts 2 lamps into her cart: true",
      "bob puts 2 lamps into his cart: false",
      "bob takes 1: true",
      "left on the shelf: 0",
      "ada buys: { lamp: true }",
      "left on the shelf: 0",
      "",
    ].join("\n"),
  );
});

it("leaderboard: who scores a thousand leads, and is announced", async () => {
  const output = await outputOf("leaderboard");
  expect(output).toContain("rank 1");
  expect(output).toMatch(/top three: \[ \[ 'ada', 1000 \]/);
  expect(output).toMatch(/\d+ times somebody took the lead, last ada/);
});

it("migration: nothing is lost, nothing comes back", async () => {
  const output = await outputOf("migration");
  expect(output).toContain("{ user: 'user-7', seen: 2 } 999 sessions");
  expect(output).toContain("deleted ones stay deleted: undefined undefined");
});

it("http-service: counts on when a process is killed", async () => {
  expect(await outputOf("http-service")).toBe(
    [
      "three processes serve",
      "30 requests later: 30",
      "any of them may go",
      "one process was killed",
      "30 requests later: 60",
      "the others have ended in order",
      "",
    ].join("\n"),
  );
}, 60_000);
