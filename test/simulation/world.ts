/**
 * What is outside of the nodes' processes: their disks, the network between them, the groups, and
 * who watches them. Everything that happens in it is put into a trace, of which a hash is kept.
 */
import { RaftKVError } from "../../ts/errors.ts";
import type { EngineOptions, NativeEngine, OnEvents } from "../../ts/native/engine.ts";
import { SimulatedEngine } from "./engine.ts";
import type { Disk, EngineCore } from "./engine-core.ts";
import { made } from "./frames.ts";
import type { Entry, SimulatedGroup } from "./group.ts";
import type { Owner, VirtualTime } from "./virtual-time.ts";

/** How unkind the world is at present; probabilities but for the last. */
export interface Chaos {
  /** A message or its answer is lost; half of the lost ones come late. */
  lost: number;
  /** An entry comes a second time. */
  doubled: number;
  /** Entries come to a member late. */
  slow: number;
  /** What a node sent to a group keeps its order, whatever is refused; see `lines.ts`. */
  keepsOrder: boolean;
  /** Entries before a snapshot that members may still be given one by one. */
  logKept: number;
}

/** Who is told of every committed entry, in its order. */
export type Watcher = (group: SimulatedGroup, index: number, entry: Entry) => void;

/** See the head of this file. */
export class World {
  readonly time: VirtualTime;
  readonly groups = new Map<number, SimulatedGroup>();
  readonly addresses = new Map<string, number>();
  readonly chaos: Chaos = { lost: 0, doubled: 0, slow: 0, keepsOrder: true, logKept: 20 };
  readonly watchers: Watcher[] = [];
  /** The last things that happened, for people. */
  readonly recent: string[] = [];
  hash = 0x811c9dc5;
  /** Is all that happens written to the output? */
  isTold = process.env.RAFT_KV_TRACE !== undefined;
  private readonly disks = new Map<string, Disk>();
  private readonly engines = new Map<number, EngineCore>();
  private readonly tickets = new Map<number, (body: Uint8Array) => void>();
  private nextTicket = 0;

  constructor(time: VirtualTime) {
    this.time = time;
  }

  /** What happened, in a few words and numbers. */
  trace(what: string, ...numbers: readonly number[]): void {
    const line = `${this.time.now.toFixed(2)} ${what} ${numbers.join(" ")}`;
    for (let at = 0; at < line.length; at++) {
      this.hash = Math.imul(this.hash ^ line.charCodeAt(at), 0x01000193);
    }
    if (what === "events") return;
    if (this.isTold) process.stdout.write(`${line}\n`);
    this.recent.push(line);
    if (this.recent.length > 400) this.recent.splice(0, 200);
  }

  ticket(): number {
    return ++this.nextTicket;
  }

  engine(node: number): EngineCore | undefined {
    return this.engines.get(node);
  }

  get running(): readonly EngineCore[] {
    return [...this.engines.values()];
  }

  addressOf(node: number): string {
    for (const [address, known] of this.addresses) if (known === node) return address;
    return "";
  }

  /** Opens an engine for a process; the data directory says which node that is. */
  opener(owner: Owner): (options: EngineOptions, onEvents: OnEvents) => Promise<NativeEngine> {
    return async ({ dataDir }, onEvents) => {
      const known = this.disks.get(dataDir);
      const node = (this.disks.size + 1) * 1_000_003;
      const disk: Disk = known ?? { node, incarnation: 0, cluster: 0, stored: new Map() };
      this.disks.set(dataDir, disk);
      const engine = new SimulatedEngine(this, disk, owner, onEvents);
      this.engines.set(disk.node, engine);
      return engine;
    };
  }

  /** A node can be reached. */
  started(engine: EngineCore): void {
    const { node, incarnation } = engine.disk;
    this.trace("starts", node, incarnation);
    for (const other of this.engines.values()) {
      if (other === engine) continue;
      this.time.schedule(other.owner, this.time.between(2, 60), () => {
        if (this.engines.get(node) !== engine) return;
        other.peerChanged(node, incarnation > 1 ? "restarted" : "up", incarnation);
        if (incarnation > 1) other.peerChanged(node, "up", incarnation);
      });
      engine.peerChanged(other.node, "up", other.disk.incarnation);
    }
    this.time.schedule(engine.owner, this.time.between(1, 20), () => {
      for (const group of this.groups.values()) this.contact(group);
      for (const id of engine.disk.stored.keys()) {
        const group = this.groups.get(id);
        if (group !== undefined && !group.members.includes(node)) engine.dismiss(id);
      }
    });
  }

  /** A node's process has died, or its engine was closed. */
  stopped(engine: EngineCore): void {
    const { node } = engine;
    if (this.engines.get(node) !== engine) return;
    this.trace("stops", node);
    this.engines.delete(node);
    engine.stop();
    for (const group of this.groups.values()) if (group.leader === node) group.depose(false);
    for (const other of this.engines.values()) {
      this.time.schedule(other.owner, this.time.between(1, 150), () => {
        if (!this.engines.has(node)) other.peerChanged(node, "down", 0);
      });
    }
  }

  /** Makes a group's members that are not there yet. */
  contact(group: SimulatedGroup): void {
    for (const node of group.members) {
      const engine = this.engines.get(node);
      if (engine === undefined || engine.stores(group.id)) continue;
      this.time.schedule(engine.owner, this.time.between(1, 30), () => {
        if (group.members.includes(node)) engine.becomeMember(group);
      });
    }
  }

  /** Has a node hear that it is no member any more. */
  dismiss(group: SimulatedGroup, node: number): void {
    const engine = this.engines.get(node);
    if (engine === undefined) return;
    this.time.schedule(engine.owner, this.time.between(1, 300), () => {
      if (!group.members.includes(node)) engine.dismiss(group.id);
    });
  }

  /** A node has deleted its replica of a group. */
  left(id: number, node: number): void {
    const group = this.groups.get(id);
    if (group === undefined) return;
    if (group.leader === node) group.depose(true);
    if ([...this.disks.values()].some(({ stored }) => stored.has(id))) return;
    group.end();
    this.groups.delete(id);
    this.trace("removed", id);
  }

  committed(group: SimulatedGroup, index: number, entry: Entry): void {
    this.trace("commits", group.id, index, entry.body?.length ?? 0);
    for (const watch of this.watchers) watch(group, index, entry);
  }

  /** Has one host call another. */
  call(from: EngineCore, to: number, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    const { time, chaos } = this;
    return new Promise((resolve, reject) => {
      const fail = (code: "NO_LEADER" | "TIMEOUT", message: string, delay: number) =>
        time.schedule(from.owner, delay, () => {
          const outcome = code === "TIMEOUT" ? "unknown" : "not applied";
          reject(new RaftKVError(code, message, { outcome }));
        });
      fail("TIMEOUT", "no answer", timeoutMs);
      if (time.chance(chaos.lost)) return;
      time.schedule(undefined, time.between(0.2, 3), () => {
        const engine = this.engines.get(to);
        if (engine === undefined) {
          fail("NO_LEADER", "not sent", time.between(0.2, 3));
          return;
        }
        const ticket = this.ticket();
        this.tickets.set(ticket, (answer) => {
          if (time.chance(chaos.lost)) return;
          const copy = Buffer.from(new ArrayBuffer(answer.length));
          copy.set(answer);
          time.schedule(from.owner, time.between(0.2, 3), () => resolve(copy));
        });
        const isMember = from.disk.cluster !== 0 && from.disk.cluster === engine.disk.cluster;
        engine.push(made.call(ticket, from.session, isMember, body));
      });
    });
  }

  answer(ticket: number, body: Uint8Array): void {
    this.tickets.get(ticket)?.(body);
    this.tickets.delete(ticket);
  }
}
