import { afterEach, describe, expect, it, vi } from "vitest";
import { Sessions } from "../../ts/machine/sessions.ts";
import { ChangeLog } from "../../ts/shard/changes.ts";
import type { ShardEntry } from "../../ts/shard/entry.ts";
import { Parking } from "../../ts/shard/parking.ts";
import { type ShardCommand, type StatusReply, shardRead } from "../../ts/shard/requests.ts";
import { type Budget, explore, type Scenario } from "./explorer.ts";
import { END, Group } from "./harness.ts";

const HALF = END / 2;
const QUIET: Budget = { lost: 0, repeated: 0, givenUp: 0 };

const split: Scenario = {
  range: { start: HALF, end: END },
  senderRange: { start: 0, end: END },
  receiverRange: null,
  present: [
    { key: "low", hash: 10, at: 0 },
    { key: "first", hash: HALF, at: 0 },
    { key: "gone", hash: HALF + 5, at: 0 },
  ],
  operations: [],
  budget: QUIET,
  mayAbort: false,
};

const merge: Scenario = {
  ...split,
  senderRange: { start: HALF, end: END },
  receiverRange: { start: 0, end: HALF },
  present: [
    { key: "low", hash: 10, at: 1 },
    { key: "first", hash: HALF, at: 0 },
    { key: "gone", hash: HALF + 5, at: 0 },
  ],
};

const append = { key: "first", hash: HALF, kind: "append", first: 0 } as const;
const unset = { key: "gone", hash: HALF + 5, kind: "unset", first: 0 } as const;
const create = { key: "new", hash: HALF + 9, kind: "append", first: 0 } as const;
const early = { key: "first", hash: HALF, kind: "append", first: 1 } as const;

describe.each([
  ["split", split],
  ["merge", merge],
] as const)("every interleaving of a %s", (_name, scenario) => {
  it("with a change, a removal and a creation", () => {
    const { runs } = explore({ ...scenario, operations: [append, unset, create] });
    expect(runs).toBeGreaterThan(0);
  });

  it("with answers lost and retried", () => {
    const budget = { lost: 2, repeated: 0, givenUp: 0 };
    explore({ ...scenario, operations: [append, append], budget });
  });

  it("with each command of the transfer repeated late, twice", () => {
    const budget = { lost: 0, repeated: 2, givenUp: 0 };
    explore({ ...scenario, operations: [append], budget });
  });

  it("with a repetition, a lost answer and a removal", () => {
    const budget = { lost: 1, repeated: 1, givenUp: 0 };
    explore({ ...scenario, operations: [unset], budget });
  });

  it("with a change and a removal whose answers are lost", () => {
    const budget = { lost: 1, repeated: 0, givenUp: 0 };
    explore({ ...scenario, operations: [append, unset], budget });
  });

  it("with a request that reaches the receiver early", () => {
    const budget = { lost: 1, repeated: 1, givenUp: 0 };
    explore({ ...scenario, operations: [early, append], budget });
  });

  it("with a caller that gives up while its retry is parked", () => {
    const budget = { lost: 1, repeated: 0, givenUp: 1 };
    explore({ ...scenario, operations: [append, append], budget });
  });

  it("with giving the transfer up", () => {
    const budget = { lost: 0, repeated: 1, givenUp: 0 };
    explore({ ...scenario, operations: [early, unset], budget, mayAbort: true });
  });
});

/** The checks above are worth something only if they find what they are for. */
describe("a fault is found:", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  function missChangesOf(key: string): void {
    const note = ChangeLog.prototype.note;
    vi.spyOn(ChangeLog.prototype, "note").mockImplementation(function (
      this: ChangeLog,
      entry: ShardEntry,
      before: number,
    ) {
      if (entry.identity !== key) note.call(this, entry, before);
    });
  }

  it("a changed key that is missed is stopped by the certificate", () => {
    missChangesOf("first");
    expect(() => explore({ ...split, operations: [append] })).toThrow(/open was refused/);
  });

  it("a removed key that is missed is stopped by the certificate", () => {
    missChangesOf("gone");
    expect(() => explore({ ...split, operations: [unset] })).toThrow(/open was refused/);
  });

  it("a certificate that is not checked, when a changed key is missed", () => {
    missChangesOf("first");
    const tell = Group.prototype.tell;
    vi.spyOn(Group.prototype, "tell").mockImplementation(function (
      this: Group,
      command: ShardCommand,
    ) {
      if (command.type !== "open") return tell.call(this, command);
      const { status } = this.read(shardRead.status()) as StatusReply;
      const tally = status.tally ?? command.certificate.tally;
      return tell.call(this, { ...command, certificate: { ...command.certificate, tally } });
    });
    expect(() => explore({ ...split, operations: [append] })).toThrow(/after the opening/);
  });

  it("retry results that do not move along", () => {
    vi.spyOn(Sessions.prototype, "adopt").mockImplementation(() => undefined);
    const budget = { lost: 1, repeated: 0, givenUp: 0 };
    const run = () => explore({ ...split, operations: [append], budget });
    expect(run).toThrow(/took effect 2 times/);
  });

  it("acknowledgements that do not move along", () => {
    vi.spyOn(Sessions.prototype, "adoptMarks").mockImplementation(() => undefined);
    const budget = { lost: 1, repeated: 0, givenUp: 1 };
    const run = () => explore({ ...split, operations: [append], budget });
    expect(run).toThrow(/took effect 2 times/);
  });

  it("a parked command that is forgotten by snapshots", () => {
    vi.spyOn(Parking.prototype, "list").mockReturnValue([]);
    expect(() => explore({ ...split, operations: [early] })).toThrow(/0 is inFlight/);
  });
});
