import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type GroupFacts, type Holding, recoveryStep } from "../../ts/cluster/recovery-plan.ts";

const A_B_S = [[1, 2, 3]];

function holding(lastIndex: number, more: Partial<Holding> = {}): Holding {
  return {
    ...{ term: 4, lastTerm: 4, lastIndex, voterSets: A_B_S, members: [1, 2, 3], bound: true },
    ...{ established: false, ...more },
  };
}

function facts(
  holdings: readonly (readonly [number, Holding | null])[],
  lost: readonly number[],
  silent: readonly number[] = [],
  more: Partial<GroupFacts> = {},
): GroupFacts {
  return {
    ...{ holdings: new Map(holdings), known: [1, 2, 3], created: true },
    isLost: (node) => lost.includes(node),
    isSilent: (node) => silent.includes(node),
    ...more,
  };
}

describe("a group without its lost members", () => {
  test("is left alone where a survivor leads, or could be elected", () => {
    const led = facts([[3, holding(9, { established: true })]], [1, 2]);
    expect(recoveryStep(led).type).toBe("kept");
    const two = [
      [2, holding(9)],
      [3, holding(7)],
    ] as const;
    expect(recoveryStep(facts(two, [1])).type).toBe("wait");
  });

  test("goes on with the newest log, which the other holders follow", () => {
    const voters = { voterSets: [[1, 2, 3, 4, 5]], members: [1, 2, 3, 4, 5, 6] };
    const held = [
      [4, holding(8, { ...voters, term: 9 })],
      [5, holding(9, voters)],
      [6, holding(12, { ...voters, lastTerm: 3 })],
    ] as const;
    expect(recoveryStep(facts(held, [1, 2, 3]))).toEqual({
      ...{ type: "force", node: 5, term: 9, members: [4, 5, 6] },
    });
  });

  test("waits for who may hold more, and for replicas that are not open", () => {
    const held = [[3, holding(9)]] as const;
    expect(recoveryStep(facts(held, [1], [2]))).toMatchObject({ type: "wait", silent: [] });
    const known = { known: [1, 2, 3, 7] };
    expect(recoveryStep(facts(held, [1, 2], [7], known))).toMatchObject({ silent: [7] });
    expect(recoveryStep(facts([[3, null]], [1, 2])).type).toBe("wait");
  });

  test("is lost without a replica, unless it was never begun", () => {
    expect(recoveryStep(facts([], [1, 2, 3])).type).toBe("lost");
    const empty = [[3, holding(0, { voterSets: [], members: [] })]] as const;
    expect(recoveryStep(facts(empty, [1, 2])).type).toBe("lost");
    expect(recoveryStep(facts([], [1, 2, 3], [], { created: false })).type).toBe("kept");
  });

  test("is never forced where survivors could agree, nor onto an older log", () => {
    const node = fc.integer({ min: 1, max: 7 });
    const voters = fc.uniqueArray(node, { minLength: 1, maxLength: 5 });
    const one = fc.record({
      node,
      lastTerm: fc.integer({ min: 1, max: 3 }),
      lastIndex: fc.integer({ min: 1, max: 4 }),
      voterSets: fc.array(voters, { minLength: 1, maxLength: 2 }),
    });
    const all = fc.uniqueArray(one, { maxLength: 5, selector: (it) => it.node });
    fc.assert(
      fc.property(all, fc.subarray([1, 2, 3, 4, 5, 6, 7]), (holders, lost) => {
        const held = holders.filter((it) => !lost.includes(it.node));
        const step = recoveryStep(
          facts(
            held.map(({ node: id, ...rest }) => [id, holding(0, { ...rest, members: [] })]),
            lost,
          ),
        );
        if (step.type !== "force") return;
        const rank = (it: { lastTerm: number; lastIndex: number }) =>
          it.lastTerm * 10 + it.lastIndex;
        const best = held.find((it) => it.node === step.node);
        if (best === undefined) throw new Error("a node without a replica");
        for (const it of held) {
          expect(rank(it)).toBeLessThanOrEqual(rank(best));
          // Even the votes of all survivors do not make up a majority of each set for the best.
          const agree = best.voterSets.every((set) => {
            const left = set.filter((voter) => !lost.includes(voter));
            return left.length * 2 > set.length;
          });
          const stands = best.voterSets.flat().includes(best.node);
          expect(agree && stands).toBe(false);
        }
      }),
    );
  });
});
