/**
 * Bugs that the simulation must find: each puts a patched copy of one function in the place of the
 * real one until it is taken back. A simulation that passes with any of them proves nothing.
 */
import { Lanes } from "../../ts/client/lanes.ts";
import { Retries } from "../../ts/client/retries.ts";
import type { SlowRequest } from "../../ts/client/slow-request.ts";
import { decodeValue, encodeValue } from "../../ts/codec/value.ts";
import { Leases } from "../../ts/host/leases.ts";
import type { Command } from "../../ts/machine/machine.ts";
import { Sessions } from "../../ts/machine/sessions.ts";
import { ShardMachine } from "../../ts/shard/machine.ts";
import type { ShardCommand } from "../../ts/shard/requests.ts";
import type { ShardState } from "../../ts/shard/state.ts";
import { RangeTransfer } from "../../ts/workflow/transfer.ts";

/** A bug, what puts it there and what takes it back, and what the breach says. */
export interface KnownBug {
  readonly name: string;
  put(): () => void;
  readonly breach: RegExp;
  /** The first seed that found it when this was written; later ones are tried too. */
  readonly seed: number;
}

type Methods = Record<string, (...rest: never[]) => unknown>;

/** Replaces a method; the function that comes back puts the real one in its place again. */
function patch(owner: object, name: string, patched: (real: never) => unknown): () => void {
  const methods = owner as Methods;
  const real = methods[name];
  if (real === undefined) throw new Error(`there is no ${name} any more`);
  methods[name] = patched(real as never) as never;
  return () => {
    methods[name] = real;
  };
}

/** Opens with whatever the buffer holds: the certificate is made to say the same. */
function openAnything(real: ShardMachine["apply"]) {
  return function apply(this: ShardMachine, command: Command, context: never) {
    const { state } = this as unknown as { state: ShardState };
    const { status } = state;
    const isReceiving = status.type === "awaiting" || status.type === "extending";
    if (!isReceiving || command.keyStart !== command.argumentStart) {
      return real.call(this, command, context);
    }
    const request = decodeValue(command.bytes.subarray(command.argumentStart)) as ShardCommand;
    if (request.type !== "open") return real.call(this, command, context);
    const certificate = { ...request.certificate, tally: status.tally.image() };
    const bytes = encodeValue({ ...request, certificate });
    const changed = { ...command, bytes, keyStart: 0, argumentStart: 0 };
    return real.call(this, changed, context);
  };
}

/** Sends every request that is sent again under a number that nobody has seen. */
function renumbered() {
  return (real: Retries["add"]) =>
    function add(this: Retries, state: SlowRequest) {
      real.call(this, { ...state, request: state.request + 1_000_000 });
    };
}

export const KNOWN_BUGS: readonly KnownBug[] = [
  {
    name: "a retry is applied again: its result is not looked for",
    put: () => patch(Sessions.prototype, "find", () => () => undefined),
    breach: /took effect 2 times/,
    seed: 1,
  },
  {
    name: "the retry results of a range stay where it was",
    put: () => patch(Sessions.prototype, "within", () => () => []),
    breach: /took effect 2 times|sessions of .* differ/,
    seed: 3,
  },
  {
    name: "a range is opened without its certificate, and without what changed last",
    put: () => {
      const machine = patch(ShardMachine.prototype, "apply", openAnything);
      const transfer = patch(RangeTransfer.prototype, "install", () => async () => undefined);
      return () => {
        machine();
        transfer();
      };
    },
    breach: /missed|lacks|differs/,
    seed: 1,
  },
  {
    name: "later commands on a key are not held back while one waits",
    put: () => patch(Lanes.prototype, "join", () => () => false),
    breach: /overtook/,
    seed: 2,
  },
  {
    name: "a request is sent again under a new number",
    put: () => patch(Retries.prototype, "add", renumbered()),
    breach: /took effect 2 times|is not settled|overtook|was said to be not applied/,
    seed: 4,
  },
  {
    name: "a leader answers from what it has applied, whatever others were told",
    put: () => patch(Leases.prototype, "missing", () => () => 0),
    breach: /missed .*, which was acknowledged/,
    seed: 1,
  },
];
