/** A fleet's state machine by itself, with short names for what tests do to it. */
import type { FleetCommand, FleetReplies } from "../../ts/fleet/commands.ts";
import { fleetModule } from "../../ts/fleet/fleet.ts";
import { FLEET_NAME, type FleetGroup, type FleetState, groupById } from "../../ts/fleet/state.ts";
import { nextTargets } from "../../ts/fleet/targets.ts";

export class Fleet {
  state: FleetState = fleetModule.init();

  send<C extends FleetCommand>(command: C): FleetReplies[C["type"]] {
    const [reply, next] = fleetModule.command(this.state, command);
    this.state = next;
    return reply as FleetReplies[C["type"]];
  }

  /** A fleet with these nodes, founded by the first. */
  static of(...nodes: (number | [id: number, zone: string])[]): Fleet {
    const fleet = new Fleet();
    const [first] = nodes.flat();
    fleet.send({ type: "foundCluster", clusterId: "c", founder: first as number });
    for (const node of nodes) {
      if (typeof node === "number") fleet.join(node);
      else fleet.join(node[0], ["m"], 1, node[1]);
    }
    return fleet;
  }

  join(id: number, modules: string[] = ["m"], incarnation = 1, zone = "z") {
    const node = {
      ...{ id, name: `n${id}`, zone, address: `a${id}`, version: "0", incarnation, modules },
    };
    return this.send({ type: "joinNode", node, now: incarnation });
  }

  add(name: string, token: string, replicas = 3, system = false) {
    const command = { type: "addGroup", name, replicas, module: "m", settings: {}, token } as const;
    return this.send(system ? { ...command, system } : command);
  }

  group(name: string): FleetGroup {
    const group = this.state.groups.get(name);
    if (group === undefined) throw new Error(`no group ${name}`);
    return group;
  }

  get own(): FleetGroup {
    return this.group(FLEET_NAME);
  }

  /** The group's leader says that the members are where they should be. */
  confirm(id: number): void {
    const group = groupById(this.state, id);
    if (group === undefined) return;
    const { version, members } = group;
    this.send({ type: "confirmMembers", group: id, version, members });
  }

  confirmAll(): void {
    for (const { id } of this.state.groups.values()) this.confirm(id);
  }

  /** Balances and confirms until nothing changes any more; says how many rounds it took. */
  settle(limit = 4, rounds = 1_000, between: () => void = () => undefined): number {
    this.confirmAll();
    for (let round = 0; round < rounds; round++) {
      if (nextTargets(this.state, 1).length === 0) return round;
      this.send({ type: "balance", limit });
      between();
      this.confirmAll();
    }
    throw new Error(`balancing did not end in ${rounds} rounds`);
  }
}
