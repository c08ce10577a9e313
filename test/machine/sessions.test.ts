import { describe, expect, test } from "vitest";
import { EncodedResult, Refusal } from "../../ts/machine/machine.ts";
import { Sessions } from "../../ts/machine/sessions.ts";

const NODE = 77;

function apply(sessions: Sessions, batch: number, acknowledged: number, requests: number[]) {
  const kept = sessions.begin(NODE, 1, batch, acknowledged, requests.length);
  if (kept === null) return null;
  for (const request of requests) sessions.retain(kept, request, request * 10, `r${request}`);
  return kept;
}

describe("sessions", () => {
  test("a retry finds the result of the first attempt", () => {
    const sessions = new Sessions();
    apply(sessions, 1, 1, [1, 2, 3]);
    expect(sessions.find(NODE, 1, 2)).toEqual({ result: "r2" });
    expect(sessions.find(NODE, 1, 4)).toBeUndefined();
    expect(sessions.find(NODE, 2, 2)).toBeUndefined();
  });

  test("a batch that comes late is refused as a whole, so that it cannot overtake its retry", () => {
    const sessions = new Sessions();
    apply(sessions, 2, 1, [1]);
    expect(apply(sessions, 1, 1, [1])).toBeNull();
    expect(apply(sessions, 2, 1, [1])).toBeNull();
    expect(apply(sessions, 3, 1, [2])).not.toBeNull();
  });

  test("what is acknowledged is forgotten, what is not is kept", () => {
    const sessions = new Sessions();
    apply(sessions, 1, 1, [1, 2]);
    apply(sessions, 2, 1, [3, 4]);
    apply(sessions, 3, 3, [5]);
    expect(sessions.find(NODE, 1, 2)).toBeUndefined();
    expect(sessions.find(NODE, 1, 3)).toEqual({ result: "r3" });
    expect(sessions.size).toBe(3);
  });

  test("a newer incarnation replaces the older one, which is refused from then on", () => {
    const sessions = new Sessions();
    apply(sessions, 5, 1, [1]);
    expect(sessions.begin(NODE, 2, 1, 1, 1)).not.toBeNull();
    expect(sessions.find(NODE, 1, 1)).toBeUndefined();
    expect(sessions.begin(NODE, 1, 6, 1, 1)).toBeNull();
  });

  test("a refusal that asks to come again is not kept, a final one is", () => {
    const sessions = new Sessions();
    const batch = sessions.begin(NODE, 1, 1, 1, 2)!;
    sessions.retain(batch, 1, 0, new Refusal("MOVED", "elsewhere", 9));
    sessions.retain(batch, 2, 0, new Refusal("COMMAND_FAILED", "thrown"));
    expect(sessions.find(NODE, 1, 1)).toBeUndefined();
    expect(sessions.find(NODE, 1, 2)?.result).toBeInstanceOf(Refusal);
  });

  test("results of a range move to another table, once", () => {
    const from = new Sessions();
    apply(from, 1, 1, [1, 2, 3, 4]);
    const to = new Sessions();
    const moved = from.within(20, 40);
    to.adopt(moved);
    to.adopt(moved);
    expect(to.size).toBe(2);
    expect(to.find(NODE, 1, 3)).toEqual({ result: "r3" });
    expect(to.find(NODE, 1, 4)).toBeUndefined();
  });

  test("an image restores the same table, results of every kind included", () => {
    const sessions = new Sessions();
    apply(sessions, 4, 1, [1, 2]);
    const batch = sessions.begin(NODE, 1, 5, 2, 2)!;
    sessions.retain(batch, 3, 7, new EncodedResult(Uint8Array.of(1, 2)));
    sessions.park(batch, 4, 8);
    const restored = new Sessions();
    restored.restore(structuredClone(sessions.image()));
    expect(restored.image()).toEqual(sessions.image());
    expect(restored.find(NODE, 1, 3)?.result).toBeInstanceOf(EncodedResult);
    expect(restored.find(NODE, 1, 4)).toBeUndefined();
    restored.retainLater({ node: NODE, incarnation: 1, request: 4, hash: 8 }, "later");
    expect(restored.find(NODE, 1, 4)).toEqual({ result: "later" });
    expect(restored.begin(NODE, 1, 5, 1, 1)).toBeNull();
  });

  test("a request that its sender has settled is over, there and where the keys moved to", () => {
    const from = new Sessions();
    apply(from, 1, 5, [5, 6]);
    const to = new Sessions();
    to.adoptMarks(from.marks());
    for (const sessions of [from, to]) {
      expect(sessions.isOver({ node: NODE, incarnation: 1, request: 4, hash: 0 })).toBe(true);
      expect(sessions.isOver({ node: NODE, incarnation: 1, request: 5, hash: 0 })).toBe(false);
      expect(sessions.isOver({ node: NODE, incarnation: 0, request: 5, hash: 0 })).toBe(true);
      expect(sessions.isOver({ node: NODE, incarnation: 2, request: 1, hash: 0 })).toBe(false);
    }
  });

  test("a batch that was sent before a key moved is late where the key comes back to", () => {
    const from = new Sessions();
    apply(from, 1, 1, [1]);
    const to = new Sessions();
    apply(to, 3, 1, [2]);
    from.adoptMarks(structuredClone(to.marks()));
    expect(from.begin(NODE, 1, 2, 1, 1)).toBeNull();
    expect(from.begin(NODE, 1, 4, 1, 1)).not.toBeNull();
    from.adoptMarks([{ node: NODE, incarnation: 1, acknowledged: 1 }]);
    expect(from.begin(NODE, 1, 4, 1, 1)).toBeNull();
  });

  test("what was called after a command of a late batch waits for it, unless it was applied", () => {
    const sessions = new Sessions();
    apply(sessions, 2, 1, [1, 3]);
    const origin = (request: number) => ({ node: NODE, incarnation: 1, request, hash: 10 });
    sessions.late(origin(1));
    expect(sessions.isBehind(origin(4))).toBe(false);
    sessions.late(origin(2));
    expect([sessions.isBehind(origin(4)), sessions.isBehind(origin(2))]).toEqual([true, false]);
    sessions.retain(sessions.begin(NODE, 1, 3, 1, 1)!, 2, 10, "applied");
    expect([sessions.isBehind(origin(4)), sessions.turnedAway]).toEqual([false, 0]);
  });
});
