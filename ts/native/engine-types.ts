/**
 * What the native engine is to the rest of ts/: its interface, and the plain data that crosses.
 * ARCHITECTURE.md has the events and the layout of frames.
 */

/** How to open an engine; defaults are the business of the API. */
export interface EngineOptions {
  /** Where the log and snapshots live; ":memory:" keeps nothing. */
  readonly dataDir: string;
  /** "fsync": acknowledged = on disk. "buffered": the operating system decides when. */
  readonly durability: "fsync" | "buffered";
  /** A directory of another cluster is refused. */
  readonly clusterName: string;
  /** Milliseconds between a leader's signs of life. */
  readonly heartbeatInterval: number;
  /** Milliseconds without one before a follower stands for election. */
  readonly electionTimeout: number;
  /** The least severe lines of the log that come as events. */
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/**
 * Takes whole events; `frames.ts` has their layout. The buffer starts its own ArrayBuffer and its
 * length is a multiple of 4. With `more`, further events wait and the taker *pulls* them: it calls
 * `drain` until that returns null, and is not called before. It may be called before the promise of
 * `openEngine` resolves. What it throws is an uncaught exception of the process.
 */
export type OnEvents = (events: Buffer, more: boolean) => void;

/** Which node and cluster a data directory belongs to. */
export interface Identity {
  /** Cluster id. */
  readonly cluster: number;
  /** Node id, 52 bits. */
  readonly node: number;
  /** How often the directory was opened. */
  readonly incarnation: number;
  /** The name that the cluster was started with. */
  readonly clusterName: string;
}

/** A group that the journal holds. */
export interface StoredGroup {
  readonly group: number;
  /** The bytes that the group was created with. */
  readonly descriptor: Uint8Array;
}

/** A node, and where it is reached: "host:port". */
export interface MemberAddress {
  readonly node: number;
  readonly address: string;
}

/** A member of a group as its leader sees it. */
export interface MemberStatus extends MemberAddress {
  readonly voter: boolean;
  /** Up to which index its log is known to be the leader's; null where this node does not lead. */
  readonly matching: number | null;
}

/** How a group stands, as far as this node knows. */
export interface GroupStatus {
  /** What this node is to the group. */
  readonly role: "leader" | "follower" | "learner";
  readonly term: number;
  /** The node that leads; 0 = none that is known. */
  readonly leader: number;
  /** Its voters are being changed: of two sets of voters each must agree. */
  readonly changing: boolean;
  /** The sets of voters of which each must agree. */
  readonly voterSets: readonly (readonly number[])[];
  /** Index of the last entry of this node's log. */
  readonly lastIndex: number;
  /** Term of that entry; 0 where the log is empty. */
  readonly lastTerm: number;
  /** The group's code is there: the group applies, and may lead. */
  readonly bound: boolean;
  readonly members: readonly MemberStatus[];
}

/** Where to listen for other nodes. */
export interface ListenOptions {
  /** "host:port" of this machine; port 0 takes a free one. */
  readonly listen: string;
  /** Where other nodes reach this one, if that is another address. */
  readonly advertise?: string;
  /** Mutual TLS, as PEM: who is not signed by `ca` is refused on both sides. */
  readonly tls?: TlsFiles;
}

/** Certificates and key, as PEM. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The name that every node's certificate carries; otherwise the host that is dialled. */
  readonly serverName?: string;
}

/** What a node at an address answered, and who it is. */
export interface AddressAnswer {
  readonly node: number;
  readonly incarnation: number;
  /** 0: it has no cluster yet. */
  readonly cluster: number;
  /** Where it says it is reached. */
  readonly address: string;
  readonly body: Buffer;
}

/** What an engine did since it was opened, and how much is under way. */
export interface EngineStatistics {
  /** Groups that are open. */
  readonly groups: number;
  /** Groups that were removed and left what their member here had promised. */
  readonly groupsLeftOver: number;
  /** Commands taken. */
  readonly commands: number;
  readonly entriesProposed: number;
  /** Entries with commands given to the host. */
  readonly entriesApplied: number;
  /** Commands refused after they were taken. */
  readonly commandsRefused: number;
  /** Snapshots written. */
  readonly snapshots: number;
  /** Commands that were taken and are not yet applied. */
  readonly pendingCommands: number;
  readonly pendingBytes: number;
  /** Bytes of events that wait for the host. */
  readonly eventBytes: number;
  /** Rounds that the journal wrote. */
  readonly journalRounds: number;
  /** Times that the disk was asked to make rounds durable. */
  readonly journalFlushes: number;
  readonly journalDiskBytes: number;
  /** How long the last round took to be written and made durable. */
  readonly journalLastFlushNanoseconds: number;
  /** Bytes of entries that the journal keeps in memory. */
  readonly journalCachedBytes: number;
}

/** Where a key belongs; see ARCHITECTURE.md, words 3 and 4 of a command record. */
export interface KeyHash {
  /** 27 bits. */
  readonly hash: number;
  /** 32 further bits. */
  readonly fingerprint: number;
}

/** Groups and their members. */
export interface NativeGroups {
  storedGroups(): StoredGroup[];
  /** Creates a group with this node as the only member; resolves to its lease slot. */
  createGroup(group: number, descriptor: Uint8Array): Promise<number>;
  /** Opens a stored group, whose log is then replayed as events; resolves to its lease slot. */
  openGroup(group: number): Promise<number>;
  /**
   * Creates a group with these members, of which this node is one, or opens the one that is stored;
   * resolves to its lease slot. The leader creates the others: event "member wanted".
   */
  createGroupWith(
    group: number,
    descriptor: Uint8Array,
    members: readonly MemberAddress[],
  ): Promise<number>;
  /** Opens a stored group without its code: it follows and stores, neither applies nor leads. */
  openUnbound(group: number): Promise<number>;
  /** The group's code is there: opens it, anew if it is open without; resolves to its slot. */
  bindGroup(group: number): Promise<number>;
  /** Stops a group and keeps what it stored. */
  closeGroup(group: number): Promise<void>;
  /** Stops a group and deletes what it stored. */
  removeGroup(group: number): Promise<void>;
  /**
   * Of all groups below a number only `existing` exist, the others never come back: what their
   * members here had promised is forgotten. Durable; it may be said late, and again.
   */
  forgetRemoved(below: number, existing: readonly number[]): Promise<void>;

  groupStatus(group: number): Promise<GroupStatus>;
  /** Adds a member that gets the log and does not vote, at the leader; does not wait for it. */
  addLearner(group: number, member: MemberAddress): Promise<void>;
  /** Waits, at the leader and for some seconds, until a member has caught up. */
  waitForMember(group: number, node: number): Promise<void>;
  /**
   * Makes these members the voters and those the learners, at the leader, by joint consensus; all
   * others leave. A leader that is not to vote hands over first and fails with NO_LEADER: repeat
   * the call at the new one.
   */
  changeMembers(
    group: number,
    voters: readonly number[],
    learners: readonly number[],
  ): Promise<void>;
  /**
   * Makes this node's member the only voter and the other `members` learners, asking nobody: a
   * majority of the voters is lost for good. `knownTerm` is the highest term that any member knows.
   * Closes the group, takes an election timeout, and resolves to the index of that membership.
   */
  recoverGroup(
    group: number,
    knownTerm: number,
    members: readonly MemberAddress[],
  ): Promise<number>;
  /** Hands leadership to another voter that answers, at the leader; resolves once it leads. */
  transferLeader(group: number, to: number): Promise<void>;
  /**
   * Confirms with a quorum that this node leads. The event "read ready" with `number` follows
   * everything that a linearizable read begun before this call must see.
   */
  readIndex(group: number, number: number): Promise<void>;
  /** Where commands go for a group that has no member here; no members: they are refused. */
  setMembersElsewhere(group: number, members: readonly MemberAddress[]): Promise<void>;
  /** Answers the event "results wanted"; whether somebody still waits for them. */
  giveResults(ticket: number, results: Uint8Array): boolean;
}

/** The way to other nodes. */
export interface NativeLinks {
  /**
   * Listens for other nodes; resolves to the address at which they reach this one. Once.
   * ADDRESS_IN_USE, INVALID_OPTION.
   */
  listen(options: ListenOptions): Promise<string>;
  /** This node belongs to this cluster from now on, durably. Another one: CLUSTER_MISMATCH. */
  setCluster(cluster: number): Promise<void>;
  /** Where a node is reached now, whatever memberships say. */
  setNodeAddress(node: number, address: string): void;
  /** Ends the streams to a node that has left. */
  forgetNode(node: number): void;
  /** These nodes are lost for good: they are neither heard nor dialled again. Durable. */
  giveUpNodes(nodes: readonly number[]): Promise<void>;
  /** Calls another node's host (event "call" there) and resolves to its answer. */
  callNode(node: number, body: Uint8Array, timeoutMs: number): Promise<Buffer>;
  /** Calls the host of whatever node is at an address, this one included. */
  callAddress(address: string, body: Uint8Array, timeoutMs: number): Promise<AddressAnswer>;
  /** Answers the event "call". */
  answerCall(ticket: number, body: Uint8Array): void;
}

/** An open engine: holds the process alive until `close` or `unref`. Errors are `RaftKVError`s. */
export interface NativeEngine extends NativeGroups, NativeLinks {
  identity(): Identity;

  /**
   * Hands the first `byteLength` bytes of an outbox over; they are copied. `acknowledged` is the
   * lowest request number that is not settled.
   */
  submit(records: Uint8Array, byteLength: number, acknowledged: number): void;
  /** The next events for a taker that pulls, or null, which ends the pulling. */
  drain(maxBytes: number): Buffer | null;
  /** Starts pulling of the taker's own accord: `onEvents` rests until `drain` returned null. */
  hold(): void;

  /** Makes or replaces the route table of a keyspace: ascending range starts, a group for each. */
  setRoutes(keyspace: number, name: string, starts: Uint32Array, groups: Uint32Array): void;
  removeRoutes(keyspace: number): void;
  /** The hash of an encoded key, or null: no such keyspace. */
  hashKey(keyspace: number, key: Uint8Array): KeyHash | null;
  /** The group that owns a hash, or null. */
  findGroup(keyspace: number, hash: number): number | null;

  /** Answers the event "leader ready": all that was given before it is applied. */
  hostReady(group: number, term: number): void;
  /** Takes the next piece of a snapshot; false: it was taken, but let the disk catch up first. */
  snapshotPiece(group: number, number: number, piece: Uint8Array): boolean;
  finishSnapshot(group: number, number: number): void;
  failSnapshot(group: number, number: number, reason: string): void;

  statistics(): EngineStatistics;

  /**
   * The lease slots of all engines of the process: Int32, to be read with `Atomics.load` and never
   * written. The memory is shared with the engine, so the buffer must not be transferred.
   */
  leases(): ArrayBuffer;

  /** Holds the process alive, as an engine does from its opening on. */
  ref(): void;
  /** Lets the process end although the engine is open. */
  unref(): void;
  /** Flushes, stops everything, and gives `onEvents` what was still queued. Idempotent. */
  close(): Promise<void>;
}

/** The engine itself, and what tests of whole clusters do to it. */
export interface TestableEngine extends NativeEngine {
  /**
   * Ends as nearly as a part of a process can as if the process had died: other nodes lose it at
   * once, nothing is handed over, and what waits is not written. What was acknowledged was durable.
   */
  kill(): Promise<void>;
  /**
   * Makes no streams to the nodes `to` and takes none from the nodes `from`, and ends those there
   * are, until it is called again. Only once it listens.
   */
  cutOff(to: readonly number[], from: readonly number[]): void;
}
