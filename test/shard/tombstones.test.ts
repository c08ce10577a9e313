import { expect, it, vi } from "vitest";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import { type StatusReply, shardCommand, shardRead } from "../../ts/shard/requests.ts";
import { END, Group } from "./harness.ts";

const LIMIT = 50;
vi.mock("../../ts/limits.ts", async (original) => ({
  ...(await original<object>()),
  TOMBSTONES_MAX: 50,
}));

const KV: ValuePerKey = {
  command: (_previous, _size, _key, arg) => ["ok", 1, arg, arg === undefined ? 0 : 1],
  query: (value) => [value, 1],
};

it("a sender gives a transfer up when too many keys come and go", () => {
  const group = new Group(1, KV, { start: 0, end: END });
  group.tell(shardCommand.begin(3, { start: 0, end: END }, 2));
  const status = () => (group.read(shardRead.status()) as StatusReply).status.type;
  for (let number = 0; number <= LIMIT; number++) {
    expect(status()).toBe("copying");
    // A key that comes back is no tombstone any more.
    group.run("again", 1);
    group.run("again", undefined);
    group.run("again", 1);
    group.run(`key-${number}`, 1);
    group.run(`key-${number}`, undefined);
  }
  expect(status()).toBe("serving");
  expect(group.tell(shardCommand.handOver(3))).toEqual({ type: "over", outcome: "aborted" });
  expect(group.machine.statistics()).toMatchObject({ keys: 1, size: 1 });
  expect(group.keyIndex.size).toBe(1);
});
