/**
 * A network of the run's own: a namespace with a bridge, and one for each node. Packets from one
 * node to another are lost, in silence and one way, when their sender has a wrong hardware address
 * for the other. Nothing outside these namespaces is touched.
 */
import { existsSync, readdirSync } from "node:fs";
import { possible, system } from "./system.ts";

/** Namespaces are named after the process that made them, so that leftovers are known. */
const PREFIX = "rkv-chaos-";
const NOWHERE = "02:00:00:00:ff:ff";
const DEVICE = "eth0";

/** See the head of this file. */
export class Network {
  readonly size: number;
  private readonly hub = `${PREFIX}${process.pid}-hub`;

  /** @throws SystemFault where namespaces cannot be made */
  constructor(size: number) {
    this.size = size;
    removeLeftovers();
    try {
      this.make();
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** The address of a node. */
  address(node: number): string {
    return `10.203.77.${node + 1}`;
  }

  /** The command that starts something in a node's namespace. */
  within(node: number): readonly string[] {
    return ["nsenter", `--net=/run/netns/${this.name(node)}`];
  }

  /** Lets nothing through from one node to another, or everything again. */
  setPassing(from: number, to: number, isPassing: boolean): void {
    const address = isPassing ? hardwareAddress(to) : NOWHERE;
    const where = [this.address(to), "lladdr", address, "dev", DEVICE, "nud", "permanent"];
    system("ip", "-n", this.name(from), "neigh", "replace", ...where);
  }

  /** Makes what a node sends slow; `discipline` as `tc` takes it, nothing ends it. */
  setDiscipline(node: number, discipline?: readonly string[]): void {
    const place = ["dev", DEVICE, "root"];
    const change = discipline === undefined ? ["del"] : ["replace"];
    system("tc", "-n", this.name(node), "qdisc", ...change, ...place, ...(discipline ?? []));
  }

  /** The first of these disciplines that the system has. */
  firstDiscipline(all: readonly (readonly string[])[]): readonly string[] | undefined {
    return all.find((discipline) => {
      const set = possible(() => this.setDiscipline(0, discipline));
      if ("made" in set) this.setDiscipline(0);
      return "made" in set;
    });
  }

  /** Removes everything; processes in it must have ended. */
  remove(): void {
    for (const name of [this.hub, ...this.nodes().map((node) => this.name(node))]) {
      possible(() => system("ip", "netns", "del", name));
    }
  }

  private make(): void {
    system("ip", "netns", "add", this.hub);
    system("ip", "-n", this.hub, "link", "add", "hub", "type", "bridge");
    system("ip", "-n", this.hub, "link", "set", "hub", "up");
    for (const node of this.nodes()) this.join(node);
    for (const from of this.nodes()) {
      for (const to of this.nodes()) if (from !== to) this.setPassing(from, to, true);
    }
  }

  private join(node: number): void {
    const name = this.name(node);
    const port = `port${node}`;
    system("ip", "netns", "add", name);
    const peer = ["peer", "name", DEVICE, "address", hardwareAddress(node), "netns", name];
    system("ip", "-n", this.hub, "link", "add", port, "type", "veth", ...peer);
    system("ip", "-n", this.hub, "link", "set", port, "master", "hub", "up");
    system("ip", "-n", name, "address", "add", `${this.address(node)}/24`, "dev", DEVICE);
    for (const device of ["lo", DEVICE]) system("ip", "-n", name, "link", "set", device, "up");
  }

  private nodes(): number[] {
    return Array.from({ length: this.size }, (_, node) => node);
  }

  private name(node: number): string {
    return `${PREFIX}${process.pid}-${node}`;
  }
}

function hardwareAddress(node: number): string {
  return `02:00:00:00:77:${(node + 1).toString(16).padStart(2, "0")}`;
}

/** Namespaces of runs that were killed. */
function removeLeftovers(): void {
  const names = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
  for (const name of names) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    possible(() => system("ip", "netns", "del", name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
