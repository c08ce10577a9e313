/**
 * Stands where a node's native engine is: the same interface, the same events in the same bytes,
 * over the simulated groups and network of its world.
 */
import { RaftKVError } from "../../ts/errors.ts";
import { REFUSED } from "../../ts/host/host.ts";
import type {
  AddressAnswer,
  EngineStatistics,
  GroupStatus,
  Identity,
  KeyHash,
  ListenOptions,
  MemberAddress,
  NativeEngine,
  StoredGroup,
} from "../../ts/native/engine.ts";
import { events } from "../host/support.ts";
import { EngineCore } from "./engine-core.ts";
import { made, recordsOf, type SubmittedRecord, setHash } from "./frames.ts";
import { SimulatedGroup } from "./group.ts";
import { Line } from "./lines.ts";

const HASHES = 2 ** 27;

const refusal = (code: "NO_LEADER" | "NOT_FOUND" | "TIMEOUT", message: string) =>
  new RaftKVError(code, message, { outcome: code === "TIMEOUT" ? "unknown" : "not applied" });

/** See the head of this file. */
export class SimulatedEngine extends EngineCore implements NativeEngine {
  identity(): Identity {
    const { cluster, node, incarnation } = this.disk;
    return { cluster, node, incarnation, clusterName: "raft-kv" };
  }

  submit(bytes: Uint8Array, byteLength: number, acknowledged: number): void {
    const byGroup = new Map<number, SubmittedRecord[]>();
    const nowhere: number[] = [];
    for (const record of recordsOf(bytes, byteLength, acknowledged)) {
      const group = this.target(record);
      if (group === null || !(this.disk.stored.has(group) || this.elsewhere.has(group))) {
        nowhere.push(record.request);
        continue;
      }
      const records = byGroup.get(group) ?? [];
      byGroup.set(group, records);
      records.push(record);
    }
    if (nowhere.length > 0) this.push(made.refused(0, REFUSED.unknownGroup, nowhere, false));
    for (const [group, records] of byGroup) {
      const line = this.lines.get(group) ?? new Line(this, group);
      this.lines.set(group, line);
      line.add(++this.batches, acknowledged, records);
    }
  }

  private target(record: SubmittedRecord): number | null {
    if (record.group !== null) return record.group;
    const found = this.hashKey(record.keyspace, record.key);
    if (found === null) return null;
    setHash(record, found.hash, found.fingerprint);
    return this.findGroup(record.keyspace, found.hash);
  }

  drain(): null {
    return null;
  }

  hold(): void {}

  setRoutes(keyspace: number, name: string, starts: Uint32Array, groups: Uint32Array): void {
    this.routes.set(keyspace, { name, starts: [...starts], groups: [...groups] });
  }

  removeRoutes(keyspace: number): void {
    this.routes.delete(keyspace);
  }

  hashKey(keyspace: number, key: Uint8Array): KeyHash | null {
    if (!this.routes.has(keyspace)) return null;
    let hash = 0x811c9dc5 ^ keyspace;
    for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
    const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return { hash: ((mixed ^ (mixed >>> 13)) >>> 0) % HASHES, fingerprint: hash >>> 0 };
  }

  findGroup(keyspace: number, hash: number): number | null {
    const table = this.routes.get(keyspace);
    const at = table?.starts.findLastIndex((start) => start <= hash) ?? -1;
    return table?.groups[at] ?? null;
  }

  hostReady(id: number, term: number): void {
    const open = this.open.get(id);
    if (open === undefined) return;
    open.ready = term;
    this.renew(id);
  }

  snapshotPiece(group: number, number: number, piece: Uint8Array): boolean {
    const writing = this.open.get(group)?.writing;
    if (writing?.number === number) writing.pieces.push(piece.slice());
    return true;
  }

  finishSnapshot(id: number, number: number): void {
    const open = this.open.get(id);
    const stored = this.disk.stored.get(id);
    const group = this.world.groups.get(id);
    if (open?.writing?.number !== number || stored === undefined || group === undefined) return;
    const { index, pieces } = open.writing;
    open.writing = null;
    stored.snapshot = { index, pieces };
    if (index > (group.snapshot?.index ?? 0)) group.snapshot = stored.snapshot;
  }

  failSnapshot(_group: number, _number: number, reason: string): void {
    this.world.time.fail(new Error(`a snapshot failed: ${reason}`));
  }

  storedGroups(): StoredGroup[] {
    return [...this.disk.stored].map(([group, { descriptor }]) => ({ group, descriptor }));
  }

  createGroup(group: number, descriptor: Uint8Array): Promise<number> {
    return this.createGroupWith(group, descriptor, [{ node: this.node, address: "" }]);
  }

  openGroup(group: number): Promise<number> {
    return this.bindGroup(group);
  }

  async createGroupWith(
    id: number,
    descriptor: Uint8Array,
    members: readonly MemberAddress[],
  ): Promise<number> {
    await this.takes(0.5, 4);
    let group = this.world.groups.get(id);
    if (!this.disk.stored.has(id)) this.disk.stored.set(id, { descriptor, snapshot: null });
    this.elsewhere.delete(id);
    if (group === undefined) {
      const voters = members.map(({ node }) => node);
      group = new SimulatedGroup(this.world, id, descriptor, voters);
      this.world.groups.set(id, group);
      this.world.contact(group);
    }
    return this.bindGroup(id);
  }

  async openUnbound(group: number): Promise<number> {
    this.mustStore(group);
    return this.opened(group, false).slot;
  }

  async bindGroup(id: number): Promise<number> {
    await this.takes(0.2, 3);
    this.mustStore(id);
    const open = this.opened(id, true);
    const group = this.world.groups.get(id);
    const snapshot = this.disk.stored.get(id)?.snapshot ?? null;
    if (snapshot !== null) this.install(id, open, snapshot);
    if (group !== undefined) {
      if (group.leader === this.node) group.depose(true);
      else if (group.leader !== 0) this.tellLeader(group);
      this.pump(group);
    }
    await this.takes(0, 2);
    return open.slot;
  }

  async closeGroup(group: number): Promise<void> {
    this.open.delete(group);
  }

  async removeGroup(group: number): Promise<void> {
    await this.takes(0.2, 5);
    if (this.disk.stored.has(group)) this.drop(group);
  }

  async groupStatus(id: number): Promise<GroupStatus> {
    await this.takes(0, 0.5);
    const group = this.groupHere(id);
    const isLeader = group.leader === this.node;
    const matching = (node: number): number | null => {
      const engine = this.world.engine(node);
      if (!isLeader || engine === undefined || !engine.stores(id)) return null;
      return engine.open.get(id)?.bound ? (engine.open.get(id)?.given ?? 0) : group.log.length;
    };
    const member = (voter: boolean) => (node: number) => ({
      ...{ node, voter, address: this.world.addressOf(node), matching: matching(node) },
    });
    return {
      role: isLeader ? "leader" : group.voters.includes(this.node) ? "follower" : "learner",
      ...{ term: group.term, leader: group.leader, changing: false },
      voterSets: [group.voters],
      lastIndex: group.log.length,
      lastTerm: group.log.at(-1)?.term ?? 0,
      bound: this.isBound(id),
      members: [...group.voters.map(member(true)), ...group.learners.map(member(false))],
    };
  }

  async addLearner(id: number, { node }: MemberAddress): Promise<void> {
    await this.takes(1, 8);
    const group = this.led(id);
    if (!group.members.includes(node)) group.learners.push(node);
    this.world.contact(group);
  }

  async waitForMember(id: number, node: number): Promise<void> {
    for (const end = this.world.time.now + 1_000; this.world.time.now < end; ) {
      const group = this.led(id);
      const engine = this.world.engine(node);
      const open = engine?.open.get(id);
      if (engine?.stores(id) && (!open?.bound || open.given + 64 >= group.log.length)) return;
      await this.takes(5, 20);
    }
    throw refusal("TIMEOUT", "the member does not catch up");
  }

  async changeMembers(
    id: number,
    voters: readonly number[],
    learners: readonly number[],
  ): Promise<void> {
    await this.takes(1, 8);
    const group = this.led(id);
    if (!voters.includes(this.node)) {
      const able = voters.filter((node) => this.world.engine(node)?.isBound(id));
      group.depose(true, this.world.time.pick(able));
      throw refusal("NO_LEADER", "it hands over first");
    }
    const before = group.members;
    group.voters = [...voters];
    group.learners = [...learners];
    this.world.trace("members", id, voters.length);
    await this.takes(1, 8);
    for (const node of before) if (!group.members.includes(node)) this.world.dismiss(group, node);
  }

  async transferLeader(id: number, to: number): Promise<void> {
    await this.takes(0.5, 5);
    const group = this.led(id);
    if (!group.voters.includes(to) || !this.world.engine(to)?.isBound(id)) {
      throw refusal("NO_LEADER", "it cannot lead");
    }
    group.depose(true, to);
    await this.takes(2, 10);
  }

  async readIndex(id: number, number: number): Promise<void> {
    const begun = this.world.groups.get(id);
    const term = begun?.term;
    await this.takes(0.5, 4);
    const group = this.led(id);
    if (!group.hasMajority || group.term !== term) throw refusal("NO_LEADER", "nobody confirms it");
    const open = this.open.get(id)!;
    this.pushBehind(open, group.log.length, events.readReady(id, number));
  }

  async setMembersElsewhere(group: number, members: readonly MemberAddress[]): Promise<void> {
    await this.takes(0, 1);
    if (members.length === 0) this.elsewhere.delete(group);
    else
      this.elsewhere.set(
        group,
        members.map(({ node }) => node),
      );
  }

  giveResults(ticket: number, results: Uint8Array): boolean {
    for (const { wanted } of this.open.values()) {
      const answer = wanted.get(ticket);
      if (answer === undefined) continue;
      wanted.delete(ticket);
      answer(results.slice());
      return true;
    }
    return false;
  }

  async listen({ listen }: ListenOptions): Promise<string> {
    this.world.addresses.set(listen, this.node);
    this.world.started(this);
    return listen;
  }

  async setCluster(cluster: number): Promise<void> {
    this.disk.cluster = cluster;
  }

  setNodeAddress(): void {}

  forgetNode(): void {}

  async giveUpNodes(): Promise<void> {}

  async forgetRemoved(): Promise<void> {}

  recoverGroup(): Promise<number> {
    return Promise.reject(new Error("no majority is lost for good here"));
  }

  callNode(node: number, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    return this.world.call(this, node, body, timeoutMs);
  }

  async callAddress(address: string, body: Uint8Array, timeoutMs: number): Promise<AddressAnswer> {
    const node = this.world.addresses.get(address) ?? 0;
    const answer = await this.world.call(this, node, body, timeoutMs);
    const { incarnation, cluster } = this.world.engine(node)?.disk ?? this.disk;
    return { node, incarnation, cluster, address, body: answer };
  }

  answerCall(ticket: number, body: Uint8Array): void {
    this.world.answer(ticket, body.slice());
  }

  statistics(): EngineStatistics {
    throw new Error("nobody asks for statistics here");
  }

  leases(): ArrayBuffer {
    return this.memory;
  }

  ref(): void {}

  unref(): void {}

  async close(): Promise<void> {
    await this.takes(0.5, 3);
    this.deliver();
    this.world.stopped(this);
    await Promise.resolve();
  }

  private takes(least: number, most: number): Promise<void> {
    return this.world.time.pause(this.owner, this.world.time.between(least, most));
  }

  private mustStore(group: number): void {
    if (!this.disk.stored.has(group)) throw refusal("NOT_FOUND", `group ${group} is not here`);
  }

  private groupHere(id: number): SimulatedGroup {
    this.mustStore(id);
    const group = this.world.groups.get(id);
    if (group === undefined) throw refusal("NOT_FOUND", `group ${id} is nowhere`);
    return group;
  }

  private led(id: number): SimulatedGroup {
    const group = this.groupHere(id);
    if (!this.leads(group)) throw refusal("NO_LEADER", `this node does not lead group ${id}`);
    return group;
  }
}
