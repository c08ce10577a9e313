/** `checkDeterminism`: commands run twice in development, and what is not pure is told of at once. */
import { describe, expect, it } from "vitest";
import type { RaftKVError, RaftKVNode, ValuePerKey } from "../../../ts/index.ts";
import { expectCode } from "../support/errors.ts";
import { openNode } from "../support/nodes.ts";
import { eventually } from "../support/waiting.ts";

const POLICY = { maxShards: 1 };
const CHECKED = { checkDeterminism: true };

type Command =
  | "chance"
  | "clock"
  | "own state"
  | "pure"
  | "in place"
  | "fails by chance"
  | "fails"
  | "size";

let calls = 0;
/** Each command is impure in a way of its own, but for those that are pure. */
const module: ValuePerKey<unknown[], string, Command, unknown, "get", unknown> = {
  command: (previous = [], size, _key, arg, { now, random }) => {
    const list = previous;
    switch (arg) {
      case "chance":
        return [0, 1, [Math.random()], 1];
      case "clock":
        return [process.hrtime.bigint(), 1, list, size];
      case "own state":
        return [0, 1, [++calls], 1];
      case "size":
        return [0, Math.random(), list, Math.random()];
      case "fails":
        throw new Error("always");
      case "fails by chance":
        throw new Error(`by chance ${Math.random()}`);
      case "in place":
        list.push(now, random(), random(), new Map([[list.length, new Error("kept")]]));
        return [list, 1, list, list.length];
      case "pure":
        return [random(), random(), undefined, 0];
    }
  },
  query: (value) => [value, 1],
};

function warnings(node: RaftKVNode): RaftKVError[] {
  const told: RaftKVError[] = [];
  node.kv.events.on("warning", (error) => told.push(error));
  return told;
}

describe("a keyspace with checkDeterminism", () => {
  it("tells of commands that are not pure, with what differed, and keeps their first outcome", async () => {
    const node = await openNode();
    const told = warnings(node);
    const kv = await node.kv.openKeyspace("kv", module, null, POLICY, CHECKED);
    calls = 0;
    expect(await kv.command("a", "own state")).toBe(0);
    expect(await kv.query("a", "get")).toEqual([1]);
    expect(calls).toBe(2);
    await kv.command("b", "chance");
    await kv.command("b", "clock");
    await kv.command("b", "size");
    await expectCode(() => kv.command("b", "fails by chance"), "COMMAND_FAILED");
    const differed = ["nextValue", "nextValue", "ret", "load, nextSize", "the error"];
    await eventually("the warnings", () => told.length >= differed.length);
    expect(told.map(({ message }) => / input: ([^.]+)\./.exec(message)?.[1])).toEqual(differed);
    for (const error of told) {
      expect(error).toMatchObject({ code: "NOT_DETERMINISTIC", action: "fix", keyspace: "kv" });
      expect(error).toMatchObject({ shard: "kv_0" });
    }
    expect(told[1]?.message).toContain('on key "b"');
  });

  it("has nothing to say of commands that are pure, and changes nothing about them", async () => {
    const node = await openNode();
    const told = warnings(node);
    const kv = await node.kv.openKeyspace("kv", module, null, POLICY, CHECKED);
    for (let count = 0; count < 5; count++) {
      const list = (await kv.command("a", "in place")) as unknown[];
      expect(list).toHaveLength(4 * (count + 1));
      expect(list).toEqual(await kv.query("a", "get"));
    }
    await kv.command("b", "pure");
    await expectCode(() => kv.command("b", "fails"), "COMMAND_FAILED");
    await node.kv.commandOnAllKeysInShard("kv_0", "in place");
    expect(await kv.query("a", "get")).toHaveLength(24);
    expect(told).toEqual([]);
  });

  it("is the program's own choice", async () => {
    const node = await openNode();
    const told = warnings(node);
    const kv = await node.kv.openKeyspace("kv", module, null, POLICY);
    await kv.command("a", "chance");
    expect(told).toEqual([]);
    const wrong = { checkDeterminism: "yes" } as unknown as typeof CHECKED;
    await expectCode(
      () => node.kv.openKeyspace("x", module, null, POLICY, wrong),
      "INVALID_OPTION",
    );
    await expectCode(() => node.kv.bindKeyspace("x", module, null, wrong), "INVALID_OPTION");
  });
});
