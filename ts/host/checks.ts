/**
 * Compares this node's replicas with their leaders': at an index that a leader chose in the log,
 * each replica computes the checksum of its state, in slices of the event loop; a later entry brings
 * the leader's, and who has another one is told of.
 *
 * A replica that starts anew, or is behind, finds old comparisons in its log. One counts only as the
 * word of the node that leads now, in the term in which that leads: of what an earlier leader had
 * nobody can say whether it is still right. Whoever leads later begins a comparison of its own.
 */
import { decodeValue } from "../codec/value.ts";
import { CHECKSUM_SLICE_MS_MAX, CHECKSUM_STEP_BYTES } from "../limits.ts";
import { type ChecksumPass, type Command, Refusal, type Result } from "../machine/machine.ts";
import type { Replica } from "./replica.ts";

/** A leader's word on its state. */
export interface Claim {
  /** Index of the entry that began the comparison. */
  readonly index: number;
  readonly checksum: string;
  /** The leader's node id, and the term in which it led at that index. */
  readonly node: number;
  readonly term: number;
}

/** A replica's state is not its leader's. */
export interface Difference extends Claim {
  /** The checksum of this node's replica; `checksum` is its leader's. */
  readonly own: string;
}

/** What a pass over a replica's state gave. */
export interface Checked {
  readonly index: number;
  readonly checksum: string;
  /** `Replica.changes` when it began. */
  readonly changes: number;
  /** Milliseconds of the event loop that it took. */
  readonly took: number;
}

/** What goes through a group's log for its hosts. */
export type HostCommand =
  /** Each replica is to compute the checksum of its state now; the result is the entry's index. */
  { readonly type: "begin" } | ({ readonly type: "compare" } & Claim);

interface Check {
  readonly replica: Replica;
  readonly index: number;
  readonly changes: number;
  pass: ChecksumPass | null;
  checksum: string | null;
  claim: Claim | null;
  took: number;
  /** Called with the result, or `null` when there will be none. */
  readonly waiting: ((checked: Checked | null) => void)[];
}

/** See the head of this file. */
export class Checks {
  private readonly self: number;
  private readonly differs: (replica: Replica, difference: Difference) => void;
  private readonly checks = new Map<Replica, Check>();
  private timer: NodeJS.Immediate | undefined;

  /** `differs` is told of each replica of this node that is not what its leader's is. */
  constructor(self: number, differs: (replica: Replica, difference: Difference) => void) {
    this.self = self;
    this.differs = differs;
  }

  /** Carries a command out that came in the log. */
  command(replica: Replica, { bytes, argumentStart }: Command, index: number): Result {
    let command: HostCommand;
    try {
      command = decodeValue(bytes.subarray(argumentStart)) as HostCommand;
      if (command.type === "begin") this.begin(replica, index);
      else if (command.type === "compare") this.compare(replica, command);
    } catch (error) {
      return new Refusal("REJECTED", `the host's command cannot be carried out: ${String(error)}`);
    }
    return index;
  }

  /** Resolves to the result of the check that began at an index; `null`: there will be none. */
  result(replica: Replica, index: number): Promise<Checked | null> {
    const check = this.checks.get(replica);
    if (check?.index !== index) return Promise.resolve(null);
    if (check.checksum !== null) return Promise.resolve(checkedOf(check));
    return new Promise((resolve) => check.waiting.push(resolve));
  }

  /** A replica's leader is known, or is another one. */
  leaderChanged(replica: Replica): void {
    const check = this.checks.get(replica);
    if (check !== undefined) this.judge(check);
  }

  /** Ends a replica's check: its state is replaced, or does not count. */
  cancel(replica: Replica): void {
    const check = this.checks.get(replica);
    if (check === undefined) return;
    this.checks.delete(replica);
    check.pass?.close();
    for (const tell of check.waiting) tell(null);
  }

  /** Ends all. */
  close(): void {
    for (const replica of [...this.checks.keys()]) this.cancel(replica);
    if (this.timer !== undefined) clearImmediate(this.timer);
  }

  private begin(replica: Replica, index: number): void {
    this.cancel(replica);
    // What is in quarantine is known to be another state.
    if (replica.quarantine !== null) return;
    const { changes } = replica;
    const pass = replica.checksum();
    const rest = { checksum: null, claim: null, took: 0, waiting: [] };
    this.checks.set(replica, { replica, index, changes, pass, ...rest });
    this.timer ??= setImmediate(() => this.slice());
  }

  private compare(replica: Replica, claim: Claim): void {
    const check = this.checks.get(replica);
    // A replica that got its state since then knows nothing of that index.
    if (check?.index !== claim.index) return;
    check.claim = claim;
    // What follows from it is to see the whole entry applied.
    queueMicrotask(() => this.judge(check));
  }

  private slice(): void {
    this.timer = undefined;
    const end = performance.now() + CHECKSUM_SLICE_MS_MAX;
    for (const check of this.checks.values()) {
      if (check.pass === null) continue;
      this.advance(check, end);
      if (performance.now() < end) continue;
      this.timer ??= setImmediate(() => this.slice());
      return;
    }
  }

  private advance(check: Check, end: number): void {
    const { pass } = check;
    const begun = performance.now();
    try {
      while (check.checksum === null && performance.now() < end) {
        check.checksum = pass?.next(CHECKSUM_STEP_BYTES) ?? null;
      }
    } catch {
      // A value that cannot be read, by a getter of the user's, is no reason to end anything.
      this.cancel(check.replica);
      return;
    }
    check.took += performance.now() - begun;
    if (check.checksum === null) return;
    check.pass = null;
    pass?.close();
    for (const tell of check.waiting.splice(0)) tell(checkedOf(check));
    this.judge(check);
  }

  private judge(check: Check): void {
    const { replica, claim, checksum } = check;
    if (this.checks.get(replica) !== check || claim === null || checksum === null) return;
    if (replica.term < claim.term) return;
    check.claim = null;
    if (replica.term > claim.term || replica.leader !== claim.node) return;
    if (claim.checksum === checksum) replica.verified = claim.index;
    else if (claim.node !== this.self) this.differs(replica, { ...claim, own: checksum });
  }
}

function checkedOf({ index, checksum, changes, took }: Check): Checked {
  return { index, checksum: checksum as string, changes, took };
}
