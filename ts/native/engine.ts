/**
 * The native engine with its types, as the rest of ts/ uses it. It adds to the addon that errors
 * are `RaftKVError`s and that closing delivers the last events; it changes nothing else.
 */
import { RaftKVError } from "../errors.ts";
import { CLOSE_PULL_MS_MAX, DRAIN_BYTES_MAX, EVENT_QUEUE_BYTES_MAX } from "../limits.ts";
import { type Binding, loadBinding } from "./binding.ts";
import type {
  AddressAnswer,
  EngineOptions,
  EngineStatistics,
  GroupStatus,
  Identity,
  KeyHash,
  ListenOptions,
  MemberAddress,
  NativeEngine,
  OnEvents,
  StoredGroup,
  TestableEngine,
} from "./engine-types.ts";
import { typed, typedAsync, typedError } from "./failures.ts";

export type * from "./engine-types.ts";

/** The lease slots are the process's: one buffer over them serves every engine. */
let leaseSlots: ArrayBuffer | undefined;
/** What the addon writes a hash into. */
const hashWords = new Uint32Array(2);

/** How an engine is opened; a simulation puts another in this one's place. */
export type EngineOpener = (options: EngineOptions, onEvents: OnEvents) => Promise<NativeEngine>;

/** Opens an engine. */
export async function openEngine(
  options: EngineOptions,
  onEvents: OnEvents,
): Promise<TestableEngine> {
  if (typeof onEvents !== "function") {
    throw new RaftKVError("INVALID_ARGUMENT", "onEvents must be a function");
  }
  const { NativeEngine: Native } = loadBinding();
  const taker: Taker = { onEvents, pulling: false };
  const { dataDir, durability, clusterName, heartbeatInterval, electionTimeout } = options;
  const { logLevel } = options;
  const native = await typedAsync(() =>
    Native.open(
      {
        directory: dataDir === ":memory:" ? null : dataDir,
        ...{ durability, clusterName, logLevel },
        ...{ heartbeatIntervalMs: heartbeatInterval, electionTimeoutMs: electionTimeout },
        ...{ eventQueueBytesMax: EVENT_QUEUE_BYTES_MAX, eventBatchBytesMax: DRAIN_BYTES_MAX },
      },
      (events, more) => {
        taker.pulling ||= more;
        if (events !== null) onEvents(events, more);
      },
    ),
  );
  return new OpenEngine(native, taker);
}

/** Who takes events, and whether it is pulling. */
interface Taker {
  readonly onEvents: OnEvents;
  pulling: boolean;
}

class OpenEngine implements TestableEngine {
  readonly #native: Binding.NativeEngine;
  readonly #taker: Taker;
  #closing: Promise<void> | undefined;

  constructor(native: Binding.NativeEngine, taker: Taker) {
    this.#native = native;
    this.#taker = taker;
  }

  identity(): Identity {
    return typed(() => this.#native.identity());
  }

  storedGroups(): StoredGroup[] {
    return typed(() => this.#native.storedGroups());
  }

  createGroup(group: number, descriptor: Uint8Array): Promise<number> {
    return typedAsync(() => this.#native.createGroup(group, descriptor));
  }

  openGroup(group: number): Promise<number> {
    return typedAsync(() => this.#native.openGroup(group));
  }

  closeGroup(group: number): Promise<void> {
    return typedAsync(() => this.#native.closeGroup(group));
  }

  removeGroup(group: number): Promise<void> {
    return typedAsync(() => this.#native.removeGroup(group));
  }

  forgetRemoved(below: number, existing: readonly number[]): Promise<void> {
    return typedAsync(() => this.#native.forgetRemoved(below, [...existing]));
  }

  createGroupWith(
    group: number,
    descriptor: Uint8Array,
    members: readonly MemberAddress[],
  ): Promise<number> {
    return typedAsync(() => this.#native.createGroupWith(group, descriptor, [...members]));
  }

  openUnbound(group: number): Promise<number> {
    return typedAsync(() => this.#native.openUnbound(group));
  }

  bindGroup(group: number): Promise<number> {
    return typedAsync(() => this.#native.bindGroup(group));
  }

  groupStatus(group: number): Promise<GroupStatus> {
    return typedAsync(() => this.#native.groupStatus(group));
  }

  addLearner(group: number, member: MemberAddress): Promise<void> {
    return typedAsync(() => this.#native.addLearner(group, member));
  }

  waitForMember(group: number, node: number): Promise<void> {
    return typedAsync(() => this.#native.waitForMember(group, node));
  }

  changeMembers(
    group: number,
    voters: readonly number[],
    learners: readonly number[],
  ): Promise<void> {
    return typedAsync(() => this.#native.changeMembers(group, [...voters], [...learners]));
  }

  recoverGroup(
    group: number,
    knownTerm: number,
    members: readonly MemberAddress[],
  ): Promise<number> {
    return typedAsync(() => this.#native.recoverGroup(group, knownTerm, [...members]));
  }

  transferLeader(group: number, to: number): Promise<void> {
    return typedAsync(() => this.#native.transferLeader(group, to));
  }

  readIndex(group: number, number: number): Promise<void> {
    return typedAsync(() => this.#native.readIndex(group, number));
  }

  setMembersElsewhere(group: number, members: readonly MemberAddress[]): Promise<void> {
    return typedAsync(() => this.#native.setMembersElsewhere(group, [...members]));
  }

  giveResults(ticket: number, results: Uint8Array): boolean {
    return typed(() => this.#native.giveResults(ticket, results));
  }

  listen(options: ListenOptions): Promise<string> {
    const { listen, advertise = null, tls = null } = options;
    const files = tls && { ...tls, serverName: tls.serverName ?? null };
    return typedAsync(() => this.#native.listen({ listen, advertise, tls: files }));
  }

  setCluster(cluster: number): Promise<void> {
    return typedAsync(() => this.#native.setCluster(cluster));
  }

  setNodeAddress(node: number, address: string): void {
    typed(() => this.#native.setNodeAddress(node, address));
  }

  forgetNode(node: number): void {
    typed(() => this.#native.forgetNode(node));
  }

  giveUpNodes(nodes: readonly number[]): Promise<void> {
    return typedAsync(() => this.#native.giveUpNodes([...nodes]));
  }

  cutOff(to: readonly number[], from: readonly number[]): void {
    typed(() => this.#native.cutOff([...to], [...from]));
  }

  callNode(node: number, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    return typedAsync(() => this.#native.callNode(node, body, timeoutMs));
  }

  callAddress(address: string, body: Uint8Array, timeoutMs: number): Promise<AddressAnswer> {
    return typedAsync(() => this.#native.callAddress(address, body, timeoutMs));
  }

  answerCall(ticket: number, body: Uint8Array): void {
    typed(() => this.#native.answerCall(ticket, body));
  }

  submit(records: Uint8Array, byteLength: number, acknowledged: number): void {
    try {
      this.#native.submit(records, byteLength, acknowledged);
    } catch (error) {
      throw typedError(error);
    }
  }

  drain(maxBytes: number): Buffer | null {
    try {
      const events = this.#native.drain(maxBytes);
      this.#taker.pulling = events !== null;
      return events;
    } catch (error) {
      throw typedError(error);
    }
  }

  hold(): void {
    this.#native.hold();
    this.#taker.pulling = true;
  }

  setRoutes(keyspace: number, name: string, starts: Uint32Array, groups: Uint32Array): void {
    typed(() => this.#native.setRoutes(keyspace, name, starts, groups));
  }

  removeRoutes(keyspace: number): void {
    typed(() => this.#native.removeRoutes(keyspace));
  }

  hashKey(keyspace: number, key: Uint8Array): KeyHash | null {
    const words = hashWords;
    try {
      if (!this.#native.hashKey(keyspace, key, words)) return null;
    } catch (error) {
      throw typedError(error);
    }
    return { hash: words[0] as number, fingerprint: words[1] as number };
  }

  findGroup(keyspace: number, hash: number): number | null {
    return typed(() => this.#native.findGroup(keyspace, hash));
  }

  hostReady(group: number, term: number): void {
    typed(() => this.#native.hostReady(group, term));
  }

  snapshotPiece(group: number, number: number, piece: Uint8Array): boolean {
    return typed(() => this.#native.snapshotPiece(group, number, piece));
  }

  finishSnapshot(group: number, number: number): void {
    typed(() => this.#native.finishSnapshot(group, number));
  }

  failSnapshot(group: number, number: number, reason: string): void {
    typed(() => this.#native.failSnapshot(group, number, reason));
  }

  statistics(): EngineStatistics {
    return typed(() => this.#native.statistics());
  }

  leases(): ArrayBuffer {
    leaseSlots ??= typed(() => this.#native.leases());
    return leaseSlots;
  }

  ref(): void {
    typed(() => this.#native.ref());
  }

  unref(): void {
    typed(() => this.#native.unref());
  }

  close(): Promise<void> {
    this.#closing ??= this.#end(() => this.#native.close());
    return this.#closing;
  }

  kill(): Promise<void> {
    this.#closing ??= this.#end(() => this.#native.kill());
    return this.#closing;
  }

  async #end(end: () => Promise<void>): Promise<void> {
    try {
      await typedAsync(end);
    } finally {
      await this.#pulled();
      const rest = this.#native.release();
      if (rest !== null) this.#taker.onEvents(rest, false);
      await this.#pulled();
    }
  }

  /** Waits, within limits, until the taker has handled what it was given. */
  async #pulled(): Promise<void> {
    const end = performance.now() + CLOSE_PULL_MS_MAX;
    while (this.#taker.pulling && performance.now() < end) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
