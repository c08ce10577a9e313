/** Set, get, both mixed, and read-modify-write: every contender, by clients and by bytes. */
import { openAll } from "../contenders/all.ts";
import { diskCeiling } from "../contenders/ceilings.ts";
import { type Contender, keyOf, valuesOf, withContenders } from "../contenders/contender.ts";
import type { Operation } from "../loop.ts";
import { type Case, type Context, type Runner, runCase, type Workload } from "../suite.ts";

/** What a contender does in a turn; `undefined` when it cannot. */
type Act = (contender: Contender, value: () => string) => Operation | undefined;

const ACTS: Record<string, Act> = {
  set: (store, value) => (turn) => store.set(keyOf(turn), value()),
  get: (store) => (turn) => store.get(keyOf(turn)),
  mixed: (store, value) => (turn) =>
    turn % 10 === 0 ? store.set(keyOf(turn), value()) : store.get(keyOf(turn)),
  "read-modify-write": (store) => {
    const add = store.increment;
    return add === undefined ? undefined : (turn) => add(`number-${turn % 1000}`);
  },
};

function runnerOf(contender: Contender, operation: Operation | undefined): Runner[] {
  if (operation === undefined) return [];
  const { name, role, otherCpu } = contender;
  return [{ name, role, operation, ...(otherCpu && { otherCpu }) }];
}

async function measure(context: Context, what: string, act: Act, sizes: readonly number[]) {
  const writes = what === "set";
  return withContenders(await openAll(context), async (contenders) => {
    const cases: Case[] = [];
    for (const bytes of sizes) {
      const disk = diskCeiling(context.directory, bytes + 32);
      try {
        for (const clients of context.extent.clients) {
          const value = valuesOf(bytes);
          const runners = contenders.flatMap((one) => runnerOf(one, act(one, value)));
          const ceilings = writes && clients === 1 ? [disk] : [];
          cases.push(await runCase(context, { what, clients, bytes }, [...runners, ...ceilings]));
        }
      } finally {
        disk.close();
      }
    }
    return { cases, measures: [] };
  });
}

function workload(name: string, title: string, what: string, everySize: boolean): Workload {
  const act = ACTS[what];
  if (act === undefined) throw new Error(`no such act: ${what}`);
  return {
    name,
    title,
    run: (context) => {
      const sizes = everySize ? context.extent.bytes : context.extent.bytes.slice(0, 1);
      return measure(context, what, act, sizes);
    },
  };
}

export const sets = workload("sets", "durable sets, one node", "set", true);
export const gets = workload("gets", "linearizable gets, one node", "get", true);
export const mixed = workload("mixed", "90 % gets, 10 % durable sets", "mixed", false);
export const updates = workload(
  "updates",
  "read-modify-write in one durable step",
  "read-modify-write",
  false,
);
