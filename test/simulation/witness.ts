/**
 * A replica of every group outside of all nodes, which applies each entry at the moment when it is
 * committed: what is true of the whole is read from it, and never half a message late.
 */
import { decodeValue } from "../../ts/codec/value.ts";
import { directoryModule } from "../../ts/directory/directory.ts";
import { DIRECTORY_NAME, type DirectoryState } from "../../ts/directory/state.ts";
import { Checks } from "../../ts/host/checks.ts";
import { drained } from "../../ts/host/drained.ts";
import { ForeignResults, WaitingTickets } from "../../ts/host/foreign-results.ts";
import { Leases } from "../../ts/host/leases.ts";
import { ReadRounds } from "../../ts/host/read-rounds.ts";
import { Replica } from "../../ts/host/replica.ts";
import { DataMachine } from "../../ts/machine/data-machine.ts";
import { Sessions } from "../../ts/machine/sessions.ts";
import { EVENT } from "../../ts/native/frames.ts";
import type { KeyIndex } from "../../ts/shard/entry.ts";
import { ShardMachine } from "../../ts/shard/machine.ts";
import type { ValuePerKey } from "../../ts/shard/module.ts";
import type { HashRange } from "../../ts/shard/status.ts";
import { made } from "./frames.ts";
import type { Entry, SimulatedGroup } from "./group.ts";

interface Descriptor {
  readonly name: string;
  readonly module: string;
  readonly settings: { readonly keyspace: string; readonly range: HashRange | null };
}

/** See the head of this file. */
export class Witness {
  readonly replicas = new Map<number, Replica>();
  private readonly module: ValuePerKey;
  private readonly index: KeyIndex = new Map();
  private readonly checks: Checks;

  /** `differs` is told when a leader's word on its state is not what is found here. */
  constructor(module: ValuePerKey, differs: (error: Error) => void) {
    this.module = module;
    this.checks = new Checks(0, ({ name }, { index }) =>
      differs(new Error(`the leader of ${name} differs at ${index}`)),
    );
  }

  get shards(): ShardMachine[] {
    const machines = [...this.replicas.values()].map(({ machine }) => machine);
    return machines.filter((machine) => machine instanceof ShardMachine);
  }

  get directory(): DirectoryState | undefined {
    const replica = [...this.replicas.values()].find(({ name }) => name === DIRECTORY_NAME);
    return (replica?.machine as DataMachine<DirectoryState> | undefined)?.state;
  }

  /** Applies an entry; whether it may have changed what shards own. */
  apply(group: SimulatedGroup, index: number, { term, body }: Entry): boolean {
    const replica = this.replicas.get(group.id) ?? this.attach(group);
    if (replica === undefined) return false;
    const isNew = replica.applied === 0;
    if (body === null) {
      replica.passBy(index);
      return isNew;
    }
    const { words, floats, bytes } = drained(made.entry(group.id, index, term, body));
    const before = ownedBy(replica);
    replica.apply(words, floats, bytes, EVENT.rest);
    return isNew || ownedBy(replica) !== before;
  }

  forget(group: number): void {
    const machine = this.replicas.get(group)?.machine;
    if (machine instanceof ShardMachine) machine.close();
    this.replicas.delete(group);
  }

  private attach({ id, descriptor }: SimulatedGroup): Replica | undefined {
    const { name, module, settings } = decodeValue(descriptor) as Descriptor;
    const sessions = new Sessions();
    const engine = {
      giveResults: () => false,
      readIndex: () => Promise.reject(new Error("nobody reads here")),
    };
    let machine: DataMachine<never> | ShardMachine;
    if (name === DIRECTORY_NAME) {
      machine = new DataMachine(directoryModule) as DataMachine<never>;
    } else if (module.startsWith("keyspace:")) {
      const { index } = this;
      const { keyspace, range } = settings;
      const common = { keyspace, module: this.module, group: id, index, range };
      machine = new ShardMachine({ ...common, retained: sessions });
    } else {
      return undefined;
    }
    const replica = new Replica(id, name, machine, sessions, {
      self: { node: 0, incarnation: 0 },
      leases: new Leases(new ArrayBuffer(8), 0),
      rounds: new ReadRounds(engine),
      foreign: new ForeignResults(engine, sessions, new WaitingTickets()),
      checks: this.checks,
      settle: () => undefined,
    });
    this.replicas.set(id, replica);
    return replica;
  }
}

function ownedBy({ machine }: Replica): string {
  if (!(machine instanceof ShardMachine)) return "";
  return `${machine.range.start} ${machine.range.end} ${machine.statusName}`;
}
