/**
 * What is to be done about a group when nodes are lost for good, as a pure function of what the
 * survivors say they hold of it.
 *
 * A group is forced only where no survivor could ever be elected by the others under the members
 * that its log names, and where everybody who may hold a replica has spoken: then the one with the
 * newest log has all that any survivor knows to be committed, and may go on as the only voter.
 */

/** What a node holds of a group. */
export interface Holding {
  /** The newest term that it knows. */
  readonly term: number;
  /** Term and index of the last entry of its log. */
  readonly lastTerm: number;
  readonly lastIndex: number;
  /** The sets of voters of which each must agree, as its log says; none: it has no members yet. */
  readonly voterSets: readonly (readonly number[])[];
  /** All members, as its log says. */
  readonly members: readonly number[];
  /** Could it lead: is its code bound? */
  readonly bound: boolean;
  /** Does it lead, confirmed by a majority just now? */
  readonly established: boolean;
}

/** What is known of a group. */
export interface GroupFacts {
  /** What survivors hold of it, by node. `null`: the node has a replica that is not open yet. */
  readonly holdings: ReadonlyMap<number, Holding | null>;
  /** Nodes that the fleet knows to hold, or to be about to hold, a replica. */
  readonly known: readonly number[];
  /** Was the group ever led, as far as the fleet knows? */
  readonly created: boolean;
  isLost(node: number): boolean;
  /** Does a node that is not lost give no answer? */
  isSilent(node: number): boolean;
}

/** What is to be done about a group. */
export type RecoveryStep =
  /** It needs no force: it is led, or nothing of it was there yet. */
  | { readonly type: "kept" }
  /** Its survivors can, or may soon, help themselves. */
  | { readonly type: "wait"; readonly why: string; readonly silent: readonly number[] }
  /** A survivor becomes the only voter; the other holders follow it. */
  | {
      readonly type: "force";
      readonly node: number;
      readonly term: number;
      readonly members: readonly number[];
    }
  /** No survivor has any of it. */
  | { readonly type: "lost" };

/** See the head of this file. */
export function recoveryStep(facts: GroupFacts): RecoveryStep {
  const held = new Map<number, Holding>();
  for (const [node, holding] of facts.holdings) {
    if (holding === null) return wait("a replica is still being opened");
    if (holding.voterSets.length > 0) held.set(node, holding);
  }
  if ([...held.values()].some(({ established }) => established)) return { type: "kept" };
  for (const node of held.keys()) {
    if (couldBeElected(node, held, facts)) return wait("its survivors can elect a leader");
  }
  const named = [...held.values()].flatMap(({ voterSets, members }) => [
    ...voterSets.flat(),
    ...members,
  ]);
  const silent = [...new Set([...facts.known, ...named])].filter(
    (node) => !facts.isLost(node) && facts.isSilent(node),
  );
  if (silent.length > 0) return wait("nodes that may hold a replica do not answer", silent);
  if (held.size === 0) return { type: facts.created ? "lost" : "kept" };
  const [best] = [...held].sort(newestFirst) as [[number, Holding]];
  const term = Math.max(...[...held.values()].map((holding) => holding.term));
  return { type: "force", node: best[0], term, members: [...held.keys()] };
}

function wait(why: string, silent: readonly number[] = []): RecoveryStep {
  return { type: "wait", why, silent };
}

/** Could a member get the votes that its log asks for, from nodes that are not lost? */
function couldBeElected(
  candidate: number,
  held: ReadonlyMap<number, Holding>,
  { isLost }: GroupFacts,
): boolean {
  const own = held.get(candidate) as Holding;
  if (!own.voterSets.some((voters) => voters.includes(candidate))) return false;
  const wouldVote = (voter: number) => {
    if (isLost(voter)) return false;
    const holding = held.get(voter);
    return holding === undefined || !isNewer(holding, own);
  };
  return own.voterSets.every((voters) => voters.filter(wouldVote).length * 2 > voters.length);
}

/** Does one log end later than another, as votes compare them? */
function isNewer(one: Holding, other: Holding): boolean {
  if (one.lastTerm !== other.lastTerm) return one.lastTerm > other.lastTerm;
  return one.lastIndex > other.lastIndex;
}

function newestFirst([a, one]: [number, Holding], [b, other]: [number, Holding]): number {
  if (isNewer(one, other)) return -1;
  if (isNewer(other, one)) return 1;
  return Number(other.bound) - Number(one.bound) || a - b;
}
