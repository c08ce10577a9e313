/**
 * The keyspaces on this node: which code is bound to them, the replicas of their shards, and the
 * routes that the engine follows, kept as the directory says.
 */
import type { KeyspaceReplica } from "../client/queries.ts";
import { Queries } from "../client/queries.ts";
import { directoryModule } from "../directory/directory.ts";
import {
  DIRECTORY_NAME,
  type DirectoryState,
  HASH_SPACE,
  type ShardEntry,
} from "../directory/state.ts";
import { RaftKVError } from "../errors.ts";
import type { FleetGroup } from "../fleet/state.ts";
import type { Replica } from "../host/replica.ts";
import { DataMachine } from "../machine/data-machine.ts";
import type { Sessions } from "../machine/sessions.ts";
import type { Histogram } from "../metrics/histogram.ts";
import { DeterminismCheck } from "../shard/determinism.ts";
import type { KeyIndex } from "../shard/entry.ts";
import { ShardMachine } from "../shard/machine.ts";
import type { LeaderHook, ValuePerKey } from "../shard/module.ts";
import type { Core, KeyspacesOfNode } from "./core.ts";
import type { HostedGroup } from "./groups.ts";
import { HookObserver } from "./hook-observer.ts";

/** The module name under which a keyspace's shards are known to the fleet. */
export function keyspaceModule(keyspace: string): string {
  return `keyspace:${keyspace}`;
}

/** What a shard's group is opened with. */
export interface ShardSettings {
  readonly keyspace: string;
  /** `null`: the receiver of a split, which gets its range later. */
  readonly range: { readonly start: number; readonly end: number } | null;
}

/** A keyspace that this node's program has bound, or called. */
export class LocalKeyspace implements KeyspaceReplica {
  readonly name: string;
  /** Each registration of the name has its own: shards of a removed one may still be here. */
  index: KeyIndex = new Map();
  /** Machines of this node's shards, by group. */
  readonly shards = new Map<number, ShardMachine>();
  readonly queries: Queries;
  number = -1;
  module: ValuePerKey | undefined;
  hook: LeaderHook | undefined;
  /** Are commands run twice, to see whether they are pure? */
  isChecked = false;
  private readonly keyspaces: LocalKeyspaces;

  constructor(name: string, core: Core, keyspaces: LocalKeyspaces) {
    this.name = name;
    this.keyspaces = keyspaces;
    this.queries = new Queries(core.host, core.engine, core.reads, this);
  }

  absence(): RaftKVError | undefined {
    return this.keyspaces.absenceOf(this);
  }
}

/** See the head of this file. */
export class LocalKeyspaces implements KeyspacesOfNode {
  private readonly core: Core;
  private readonly byName = new Map<string, LocalKeyspace>();
  private readonly byNumber = new Map<number, LocalKeyspace>();
  private readonly routes = new Map<number, string>();
  /** Called after commands were applied to a shard of this node, with the shard's name. */
  onShardApplied: ((shard: ShardMachine, name: string) => void) | undefined;
  /** Called when the directory's state changed. */
  onDirectoryChange: (() => void) | undefined;
  /** Called when this node began or ceased to lead the directory. */
  onDirectoryLeader: ((leading: boolean) => void) | undefined;
  private directoryMachine: DataMachine<DirectoryState> | undefined;

  constructor(core: Core) {
    this.core = core;
    core.keyspaces = this;
    core.groups.bind(DIRECTORY_NAME, () => {
      this.directoryMachine = new DataMachine(directoryModule);
      return this.directoryMachine;
    });
  }

  /** The directory's state as this node knows it; `undefined` before `init`. */
  get directory(): DirectoryState | undefined {
    return this.directoryMachine?.state;
  }

  isRegistered(keyspace: string): boolean {
    return this.directory?.keyspaces.has(keyspace) === true;
  }

  /** Opens the directory's group, adding it where the fleet does not have it yet. */
  async openDirectory(): Promise<Replica> {
    const { core } = this;
    await core.announce([DIRECTORY_NAME]);
    if (core.group(DIRECTORY_NAME) === undefined) {
      await core.fleetCommand({
        type: "addGroup",
        name: DIRECTORY_NAME,
        replicas: 3,
        system: true,
        module: DIRECTORY_NAME,
        settings: {},
        token: DIRECTORY_NAME,
      });
    }
    const replica = await core.groups.open(core.group(DIRECTORY_NAME) as FleetGroup);
    replica.onApplied = () => this.directoryChanged();
    // A command that changes nothing comes back once this replica has caught up with the leader.
    await core.command(replica.group, { type: "report", now: Date.now(), shards: [] });
    this.directoryChanged();
    return replica;
  }

  /** The keyspace of a name on this node. */
  get(name: string): LocalKeyspace {
    let keyspace = this.byName.get(name);
    if (keyspace === undefined) {
      keyspace = new LocalKeyspace(name, this.core, this);
      this.byName.set(name, keyspace);
      this.number(keyspace);
    }
    return keyspace;
  }

  /** Binds code to a keyspace, unless the program has bound some already. */
  async bind(
    name: string,
    module: ValuePerKey,
    hook: LeaderHook | null,
    isChecked: boolean,
  ): Promise<LocalKeyspace> {
    const keyspace = this.get(name);
    if (keyspace.module === undefined) {
      keyspace.module = module;
      keyspace.hook = hook ?? undefined;
      keyspace.isChecked = isChecked;
      this.core.groups.bind(keyspaceModule(name), (group, sessions) =>
        this.buildShard(keyspace, group, sessions),
      );
    }
    await this.core.announce([keyspaceModule(name)]);
    this.core.groups.reconcile();
    return keyspace;
  }

  /** How many queries were made of each keyspace that exists, and how long some of them took. */
  asked(): { readonly name: string; readonly count: number; readonly durations: Histogram }[] {
    return [...this.byNumber.values()].map(({ name, queries }) => ({
      ...{ name, count: queries.asked, durations: queries.durations },
    }));
  }

  /** Forgets the code of a removed keyspace: one that is registered under its name is another. */
  unbind(name: string): void {
    const keyspace = this.byName.get(name);
    if (keyspace === undefined) return;
    keyspace.module = undefined;
    keyspace.hook = undefined;
  }

  /** All shards that this node hosts. */
  *shards(): IterableIterator<{ keyspace: LocalKeyspace; shard: ShardMachine; replica: Replica }> {
    for (const keyspace of this.byName.values()) {
      for (const [group, shard] of keyspace.shards) {
        const replica = this.core.host.replica(group);
        if (replica?.machine === shard) {
          yield { keyspace, shard, replica };
        } else {
          shard.close();
          keyspace.shards.delete(group);
        }
      }
    }
  }

  attached(replica: Replica): void {
    const shard = replica.machine;
    if (shard instanceof ShardMachine)
      replica.onApplied = () => {
        if (replica.leading) this.onShardApplied?.(shard, replica.name);
      };
  }

  leaderChanged(replica: Replica): void {
    if (replica.name === DIRECTORY_NAME) this.onDirectoryLeader?.(replica.leading);
    const shard = replica.machine;
    if (!(shard instanceof ShardMachine)) return;
    const keyspace = this.byName.get(shard.keyspace);
    const hook = keyspace?.hook;
    shard.observer = replica.leading && hook ? new HookObserver(hook, shard, this.core) : null;
    const tell = (message: string) => {
      const where = { keyspace: shard.keyspace, shard: replica.name };
      this.core.tell(new RaftKVError("NOT_DETERMINISTIC", message, where));
    };
    const checked = replica.leading && keyspace?.isChecked ? keyspace.module : undefined;
    shard.check =
      checked === undefined ? null : new DeterminismCheck(shard.keyspace, checked, tell);
  }

  keyspaceOf(route: number): string | undefined {
    return this.byNumber.get(route)?.name;
  }

  absence(route: number): RaftKVError | undefined {
    const keyspace = this.byNumber.get(route);
    const absence = keyspace === undefined ? undefined : this.absenceOf(keyspace);
    if (absence?.code !== "MODULE_NOT_BOUND") return absence;
    // Other nodes serve it: a shard that cannot be called from here yet is about to be.
    const shards = this.directory?.keyspaces.get(absence.keyspace ?? "")?.shards ?? [];
    return shards.some(({ group }) => this.core.reads.isElsewhere(group)) ? undefined : absence;
  }

  /** Why a keyspace cannot be called on this node, if so. */
  absenceOf(keyspace: LocalKeyspace): RaftKVError | undefined {
    const details = { keyspace: keyspace.name, outcome: "not applied" } as const;
    if (this.directory?.keyspaces.get(keyspace.name) === undefined) {
      return new RaftKVError(
        "NO_SUCH_KEYSPACE",
        `there is no keyspace ${keyspace.name}; register it first`,
        details,
      );
    }
    if (keyspace.module !== undefined) return undefined;
    return new RaftKVError(
      "MODULE_NOT_BOUND",
      `this node's program has not bound the code of keyspace ${keyspace.name}; ` +
        "call openKeyspace or bindKeyspace first",
      details,
    );
  }

  /** Gives the engine the routes of every keyspace whose shards changed. */
  directoryChanged(): void {
    const { engine } = this.core;
    const known = this.directory?.keyspaces;
    if (known === undefined) return;
    for (const keyspace of this.byName.values()) this.number(keyspace);
    for (const { name, number, shards } of known.values()) {
      const image = shards.map(({ start, group }) => `${start}:${group}`).join();
      this.setMissingLoad(name);
      if (shards.length === 0 || this.routes.get(number) === image) continue;
      const starts = Uint32Array.from(shards, ({ start }) => start);
      const groups = Uint32Array.from(shards, ({ group }) => group);
      const { client } = this.core;
      client.routesChanging(
        number,
        (hash) => engine.findGroup(number, hash) !== ownerOf(shards, hash),
      );
      engine.setRoutes(number, name, starts, groups);
      this.routes.set(number, image);
      client.routesChanged();
    }
    const numbers = new Set([...known.values()].map(({ number }) => number));
    for (const number of [...this.routes.keys()]) {
      if (numbers.has(number)) continue;
      engine.removeRoutes(number);
      this.routes.delete(number);
    }
    this.onDirectoryChange?.();
  }

  private setMissingLoad(name: string): void {
    const load = this.directory?.keyspaces.get(name)?.policy.loadPerQueryToMissingKey ?? 0;
    for (const shard of this.byName.get(name)?.shards.values() ?? []) {
      shard.loadPerQueryToMissingKey = load;
    }
  }

  /** A keyspace that was registered again after its removal has another number. */
  private number(keyspace: LocalKeyspace): void {
    const number = this.directory?.keyspaces.get(keyspace.name)?.number ?? -1;
    if (keyspace.number === number) return;
    if (keyspace.number >= 0) keyspace.index = new Map();
    this.byNumber.delete(keyspace.number);
    keyspace.number = number;
    if (number >= 0) this.byNumber.set(number, keyspace);
  }

  private buildShard(
    keyspace: LocalKeyspace,
    group: HostedGroup,
    sessions: Sessions,
  ): ShardMachine {
    const { module } = keyspace;
    if (module === undefined) throw new Error(`no code is bound to ${keyspace.name}`);
    const { range } = group.settings as unknown as ShardSettings;
    const shard = new ShardMachine({
      keyspace: keyspace.name,
      group: group.id,
      module,
      index: keyspace.index,
      range,
      retained: sessions,
    });
    keyspace.shards.set(group.id, shard);
    this.setMissingLoad(keyspace.name);
    return shard;
  }
}

/** The group of the shard that a hash is in; shards are in ascending order of their ranges. */
function ownerOf(shards: readonly ShardEntry[], hash: number): number | undefined {
  let low = 0;
  let high = shards.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((shards[middle] as ShardEntry).start <= hash) low = middle;
    else high = middle;
  }
  return shards[low]?.group;
}

/** The range of a keyspace's first shard. */
export const WHOLE_RANGE = { start: 0, end: HASH_SPACE } as const;
