/**
 * Is there an order of these operations, each at one moment between its call and its answer, in
 * which a sequential register or counter would have answered the same?
 *
 * The search of Wing and Gong with Lowe's memory of visited configurations, as in Porcupine: the
 * earliest call that may come next is taken, and taken back when a later answer cannot be
 * explained. Keys are judged one by one, for linearizability is a property of each object.
 *
 * It is no library because of unknown operations, which chaos makes many of: each may come at any
 * time after its call or never, and the search of Porcupine doubles with each of them. Here those
 * that do the same are taken in the order of their calls, and only when nothing else explains an
 * answer. `linearizability.test.ts` compares it with every order of small histories; with Porcupine
 * it agrees on 20,000 random ones.
 */
import type { Model } from "./models.ts";
import { isUnknown, type Operation } from "./operation.ts";

/** Steps of the search of one key, after which it is given up: no verdict is a failure as well. */
const STEPS_MAX = 20_000_000;
/** Operations that are shown around the one that nothing explains. */
const SHOWN_MAX = 12;

/** What the search found. `fault` says what cannot be explained. */
export type Verdict =
  | { readonly linearizable: true }
  | { readonly linearizable: false; readonly fault: string };

/** A call or an answer, in a list that operations are lifted out of and put back into. */
interface Moment {
  readonly at: number;
  readonly operation: Operation;
  readonly isCall: boolean;
  /** Position among the known operations, or among the unknown ones that do the same. */
  position: number;
  answer?: Moment;
  previous: Moment | undefined;
  next: Moment | undefined;
}

/** Judges the operations of one key. */
export function judge<State extends string | number | null>(
  model: Model<State>,
  operations: readonly Operation[],
): Verdict {
  return new Search(model, model.narrow(operations)).run();
}

class Search<State extends string | number | null> {
  private readonly model: Model<State>;
  private readonly head: Moment;
  private readonly taken: { readonly moment: Moment; readonly before: State }[] = [];
  private readonly visited = new Set<string>();
  /** All known operations before this position are taken, and these beyond it. */
  private base = 0;
  private readonly isTaken: boolean[];
  private readonly ahead = new Set<number>();
  /** How many unknown operations of each kind are taken. */
  private readonly unknown = new Map<string, number>();
  /** The answer that most operations were taken before, and the state there. */
  private furthest: { readonly count: number; readonly text: string } = { count: -1, text: "" };

  constructor(model: Model<State>, operations: readonly Operation[]) {
    this.model = model;
    this.isTaken = operations.map(() => false);
    this.head = listOf(operations, (operation) => this.kindOf(operation));
  }

  /** Unknown operations are tried last: most never have to explain anything. */
  run(): Verdict {
    let state = this.model.first;
    let moment = this.head.next;
    let triesUnknown = false;
    for (let steps = 0; moment !== undefined; steps++) {
      if (steps > STEPS_MAX) return { linearizable: false, fault: `undecided: ${steps} steps` };
      const { operation } = moment;
      const isOver = moment.isCall && !isUnknown(operation) && this.model.isPast(state, operation);
      if (moment.isCall && !isOver) {
        const next = isUnknown(operation) === triesUnknown ? this.take(moment, state) : undefined;
        moment = next === undefined ? moment.next : this.head.next;
        if (next === undefined) continue;
        state = next;
        triesUnknown = false;
        continue;
      }
      // All answers that are known come before: what is left did not take effect, or later.
      if (isUnknown(operation)) break;
      if (!triesUnknown && !isOver) {
        triesUnknown = true;
        moment = this.head.next;
        continue;
      }
      this.note(moment, state);
      const last = this.taken.pop();
      if (last === undefined) return { linearizable: false, fault: this.furthest.text };
      state = last.before;
      this.putBack(last.moment);
      moment = last.moment.next;
      triesUnknown = isUnknown(last.moment.operation);
    }
    return { linearizable: true };
  }

  private kindOf(operation: Operation): string {
    return this.model.sameAs(operation) ?? `at ${operation.call}`;
  }

  /** Takes an operation as the next one, unless it cannot be or that was tried before. */
  private take(moment: Moment, before: State): State | undefined {
    const { operation, position } = moment;
    const kind = this.kindOf(operation);
    const count = this.unknown.get(kind) ?? 0;
    if (isUnknown(operation) && count !== position) return undefined;
    const state = this.model.step(before, operation);
    if (state === undefined) return undefined;
    this.mark(moment, kind, count);
    const unknown = [...this.unknown].map(([name, taken]) => `${name}=${taken}`).sort();
    const ahead = [...this.ahead].sort((a, b) => a - b);
    const configuration = `${this.base}|${ahead}|${unknown}|${JSON.stringify(state)}`;
    if (this.visited.has(configuration)) {
      this.unmark(moment);
      return undefined;
    }
    this.visited.add(configuration);
    this.taken.push({ moment, before });
    lift(moment);
    return state;
  }

  private mark({ operation, position }: Moment, kind: string, count: number): void {
    if (isUnknown(operation)) {
      this.unknown.set(kind, count + 1);
      return;
    }
    this.isTaken[position] = true;
    this.ahead.add(position);
    for (; this.isTaken[this.base]; this.base++) this.ahead.delete(this.base);
  }

  private unmark({ operation, position }: Moment): void {
    if (isUnknown(operation)) {
      const kind = this.kindOf(operation);
      const left = (this.unknown.get(kind) ?? 0) - 1;
      if (left === 0) this.unknown.delete(kind);
      else this.unknown.set(kind, left);
      return;
    }
    for (; this.base > position; this.base--) this.ahead.add(this.base - 1);
    this.isTaken[position] = false;
    this.ahead.delete(position);
  }

  private putBack(moment: Moment): void {
    this.unmark(moment);
    restore(moment);
  }

  private note(moment: Moment, state: State): void {
    const count = this.taken.length;
    if (count <= this.furthest.count) return;
    const last = this.taken.slice(-SHOWN_MAX).map((one) => described(one.moment.operation));
    const open: string[] = [];
    for (let at = this.head.next; at !== undefined && open.length < SHOWN_MAX; at = at.next) {
      if (at.isCall) open.push(described(at.operation));
    }
    const text = [
      `after ${count} operations the state is ${JSON.stringify(state)}, which does not explain`,
      `  ${described(moment.operation)}`,
      "last in the best order found:",
      ...last.map((line) => `  ${line}`),
      "not taken yet:",
      ...open.map((line) => `  ${line}`),
    ];
    this.furthest = { count, text: text.join("\n") };
  }
}

/** An operation on one line. */
export function described({ process, call, end, action, result }: Operation): string {
  const { name, ...rest } = action;
  const answer = end === Number.POSITIVE_INFINITY ? "unknown" : JSON.stringify(result ?? null);
  const argument = Object.keys(rest).length === 0 ? "" : ` ${JSON.stringify(rest)}`;
  return `${process} [${call} .. ${end}] ${name}${argument} -> ${answer}`;
}

/** All calls and answers in the order of time; of those at the same moment calls come first. */
function listOf(operations: readonly Operation[], kindOf: (one: Operation) => string): Moment {
  const links = { previous: undefined, next: undefined };
  const moments = operations.flatMap((operation) => {
    const { call, end } = operation;
    const answer: Moment = { at: end, operation, isCall: false, position: 0, ...links };
    return [{ at: call, operation, isCall: true, position: 0, answer, ...links }, answer];
  });
  moments.sort((a, b) => (a.at === b.at ? Number(b.isCall) - Number(a.isCall) : a.at - b.at));
  const head: Moment = { ...(moments[0] as Moment), ...links };
  const unknown = new Map<string, number>();
  let known = 0;
  let last = head;
  for (const moment of moments) {
    if (moment.isCall && isUnknown(moment.operation)) {
      const kind = kindOf(moment.operation);
      moment.position = unknown.get(kind) ?? 0;
      unknown.set(kind, moment.position + 1);
    } else if (moment.isCall) {
      moment.position = known++;
    }
    moment.previous = last;
    last.next = moment;
    last = moment;
  }
  return head;
}

function lift(call: Moment): void {
  for (const moment of [call, call.answer as Moment]) {
    if (moment.previous !== undefined) moment.previous.next = moment.next;
    if (moment.next !== undefined) moment.next.previous = moment.previous;
  }
}

/** Puts the operation back that was lifted last. */
function restore(call: Moment): void {
  for (const moment of [call.answer as Moment, call]) {
    if (moment.previous !== undefined) moment.previous.next = moment;
    if (moment.next !== undefined) moment.next.previous = moment;
  }
}
