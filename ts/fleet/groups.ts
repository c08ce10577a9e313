/**
 * The groups of one state of the fleet, by id and by name, in the order in which they were added.
 *
 * Never changed in place. Most commands to the fleet are about one group of many: the next state
 * shares everything else with the one before, and what differs between two states is found without
 * a look at the rest.
 */
import type { FleetGroup } from "./state.ts";
import { Trie } from "./trie.ts";

/** Names are looked up by so many bits of a hash. */
const NAME_BITS = 20;

/** What became of a group between two states; `undefined`: it did not exist. */
export interface GroupChange {
  readonly before: FleetGroup | undefined;
  readonly after: FleetGroup | undefined;
}

/** See the head of this file. Names are unique. */
export class FleetGroups {
  /** No groups. */
  static readonly none: FleetGroups = new FleetGroups(Trie.empty(), Trie.empty(), 0);

  /** How many there are. */
  readonly size: number;
  private readonly groups: Trie<FleetGroup>;
  private readonly idsByName: Trie<readonly number[]>;

  private constructor(groups: Trie<FleetGroup>, idsByName: Trie<readonly number[]>, size: number) {
    this.groups = groups;
    this.idsByName = idsByName;
    this.size = size;
  }

  /** The group of a name. */
  get(name: string): FleetGroup | undefined {
    for (const id of this.idsByName.get(hashOf(name)) ?? []) {
      const group = this.groups.get(id);
      if (group?.name === name) return group;
    }
    return undefined;
  }

  /** The group of an id. */
  byId(id: number): FleetGroup | undefined {
    return this.groups.get(id);
  }

  /** All groups, in the order of their ids. */
  values(): FleetGroup[] {
    return this.groups.values();
  }

  /** With this group in place of what was known of it. */
  with(group: FleetGroup): FleetGroups {
    const { id, name } = group;
    const groups = this.groups.with(id, group);
    if (this.groups.get(id) !== undefined)
      return new FleetGroups(groups, this.idsByName, this.size);
    const hash = hashOf(name);
    const ids = [...(this.idsByName.get(hash) ?? []), id];
    return new FleetGroups(groups, this.idsByName.with(hash, ids), this.size + 1);
  }

  /** Without the group of a name. */
  without(name: string): FleetGroups {
    const group = this.get(name);
    if (group === undefined) return this;
    const hash = hashOf(name);
    const ids = (this.idsByName.get(hash) ?? []).filter((id) => id !== group.id);
    const idsByName = this.idsByName.with(hash, ids.length === 0 ? undefined : ids);
    return new FleetGroups(this.groups.with(group.id, undefined), idsByName, this.size - 1);
  }

  /** The groups that are not the same here as in an earlier state. */
  changesSince(before: FleetGroups): GroupChange[] {
    return this.groups
      .changesSince(before.groups)
      .map(([old, next]) => ({ before: old, after: next }));
  }
}

/** FNV-1a over the name's UTF-16 units. */
function hashOf(name: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < name.length; at++) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193);
  }
  return (hash ^ (hash >>> NAME_BITS)) & (2 ** NAME_BITS - 1);
}
