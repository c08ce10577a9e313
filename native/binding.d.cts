// Generated from crates/addon/src (61dd3a0ffa1fa91e) by `npm run build`. Private.

/**
 * Which binding artifact the generated loader actually loaded: `'native'` for
 * a native addon, otherwise the `platformArchABI` of the WASI flavor. Every
 * flavor napi-rs can build is listed, because `NAPI_RS_NATIVE_LIBRARY_PATH`
 * can point the loader at a WASI artifact this package does not build itself.
 */
export declare const __napiBindingTarget: 'native' | 'wasm32-wasi' | 'wasm32-wasip1'

/** An open engine. It holds the process alive until `close` or `unref`. */
export declare class NativeEngine {
  /**
   * Opens an engine. `onEvents` may be called before the promise resolves. When `more` is true,
   * and after `hold`, the rest is pulled: call `drain` until it returns null.
   */
  static open(options: NativeOptions, onEvents: (events: Buffer | null, more: boolean) => void): Promise<NativeEngine>
  /** Closes the engine; what is queued can still be drained. Idempotent. */
  close(): Promise<void>
  /** Ends the engine as if the process had died, for tests. Idempotent. */
  kill(): Promise<void>
  /**
   * Lets go of the closed engine and of `onEvents`, and returns the events that were still
   * queued. Only then can a closed engine's memory be freed.
   */
  release(): Buffer | null
  /** Holds the process alive while the engine is open; so it is after `open`. */
  ref(): void
  /** Lets the process end although the engine is open. */
  unref(): void
  /** Which node and cluster this is. */
  identity(): NativeIdentity
  /** Takes the first `byteLength` bytes of `records`, which are copied. */
  submit(records: Uint8Array, byteLength: number, acknowledged: number): void
  /** The next events, or null, which ends the pulling. */
  drain(maxBytes: number): Buffer | null
  /** Keeps back further calls of `onEvents` until `drain` has returned null. */
  hold(): void
  /** Makes the route table of a keyspace, or replaces it. */
  setRoutes(keyspace: number, name: string, starts: Uint32Array, groups: Uint32Array): void
  /** Forgets a keyspace. */
  removeRoutes(keyspace: number): void
  /**
   * Writes the hash and the fingerprint of an encoded key into `result`; false when there is no
   * such keyspace.
   */
  hashKey(keyspace: number, key: Uint8Array, result: Uint32Array): boolean
  /** The group that owns a hash, or null. */
  findGroup(keyspace: number, hash: number): number | null
  /** Answers the event "leader ready". */
  hostReady(group: number, term: number): void
  /** Takes the next piece of a snapshot; false asks to let the disk catch up. */
  snapshotPiece(group: number, number: number, piece: Uint8Array): boolean
  /** Completes a snapshot. */
  finishSnapshot(group: number, number: number): void
  /** Gives a snapshot up. */
  failSnapshot(group: number, number: number, reason: string): void
  /** Counters since the engine was opened. */
  statistics(): NativeStatistics
  /** The lease slots: Int32, to be read with `Atomics.load`. One buffer serves the process. */
  leases(): ArrayBuffer
  /** The groups that the journal holds. */
  storedGroups(): Array<NativeStoredGroup>
  /** Creates a group of which this node is the only member, and resolves to its lease slot. */
  createGroup(group: number, descriptor: Uint8Array): Promise<number>
  /**
   * Creates a group with these members, of which this node is one, or opens the one that is
   * stored; resolves to its lease slot.
   */
  createGroupWith(group: number, descriptor: Uint8Array, members: Array<NativeMember>): Promise<number>
  /** Opens a stored group, whose log is then replayed, and resolves to its lease slot. */
  openGroup(group: number): Promise<number>
  /** Opens a stored group whose code is not there: it follows and stores, and does not apply. */
  openUnbound(group: number): Promise<number>
  /** The group's code is there: opens the group, anew if it is open without it. */
  bindGroup(group: number): Promise<number>
  /** Stops a group and keeps what it stored. */
  closeGroup(group: number): Promise<void>
  /** Stops a group and deletes what it stored. */
  removeGroup(group: number): Promise<void>
  /** Of the groups below a number only these exist: what others left here is forgotten. */
  forgetRemoved(below: number, existing: Array<number>): Promise<void>
  /** How a group stands, as far as this node knows. */
  groupStatus(group: number): Promise<NativeGroupStatus>
  /** Adds a member that gets the log and does not vote. */
  addLearner(group: number, member: NativeMember): Promise<void>
  /** Waits until a member has caught up. */
  waitForMember(group: number, node: number): Promise<void>
  /** Makes these members the voters and those the learners; all others leave. */
  changeMembers(group: number, voters: Array<number>, learners: Array<number>): Promise<void>
  /**
   * Makes this node's member the only voter, and the others learners: a majority is lost.
   * Resolves to the index of that membership; the group is closed then.
   */
  recoverGroup(group: number, knownTerm: number, members: Array<NativeMember>): Promise<number>
  /** Hands leadership to another voter. */
  transferLeader(group: number, to: number): Promise<void>
  /** Confirms that this node leads; the event "read ready" follows. */
  readIndex(group: number, number: number): Promise<void>
  /** Tells where a group lives that has no member here; no members: nowhere. */
  setMembersElsewhere(group: number, members: Array<NativeMember>): Promise<void>
  /** Answers the event "results wanted"; whether somebody still waits. */
  giveResults(ticket: number, results: Uint8Array): boolean
  /** Listens for other nodes, and resolves to the address at which they reach this one. */
  listen(options: NativeListenOptions): Promise<string>
  /** This node belongs to this cluster from now on. */
  setCluster(cluster: number): Promise<void>
  /** Where a node is reached. */
  setNodeAddress(node: number, address: string): void
  /** Ends the streams to a node that has left. */
  forgetNode(node: number): void
  /** These nodes are lost for good, and refused from now on. */
  giveUpNodes(nodes: Array<number>): Promise<void>
  /** Makes no streams to the nodes `to` and takes none from the nodes `from`, for tests. */
  cutOff(to: Array<number>, from: Array<number>): void
  /** Calls a node's host. */
  callNode(node: number, body: Uint8Array, timeoutMs: number): Promise<Buffer>
  /** Calls the host of whatever node is at an address. */
  callAddress(address: string, body: Uint8Array, timeoutMs: number): Promise<NativeAddressAnswer>
  /** Answers the event "call". */
  answerCall(ticket: number, body: Uint8Array): void
}

/** What the node at an address answered, and who it is. */
export interface NativeAddressAnswer {
  /** The node. */
  node: number
  /** Its incarnation. */
  incarnation: number
  /** Its cluster; 0 = none yet. */
  cluster: number
  /** Where it says it is reached. */
  address: string
  /** What its host answered. */
  body: Buffer
}

/** How a group stands, as far as this node knows. */
export interface NativeGroupStatus {
  /** What this node is to the group. */
  role: 'leader' | 'follower' | 'learner'
  /** The term. */
  term: number
  /** The node that leads, or 0. */
  leader: number
  /** Its voters are being changed. */
  changing: boolean
  /** The sets of voters of which each must agree. */
  voterSets: Array<Array<number>>
  /** Index of the last entry of this node's log. */
  lastIndex: number
  /** Term of that entry; 0 where the log is empty. */
  lastTerm: number
  /** The group's code is there. */
  bound: boolean
  /** The members. */
  members: Array<NativeMemberStatus>
}

/** Which node and cluster a data directory belongs to. */
export interface NativeIdentity {
  /** Cluster id, below 2^53. */
  cluster: number
  /** Node id, below 2^52. */
  node: number
  /** How often the directory was opened. */
  incarnation: number
  /** The name that the cluster was started with. */
  clusterName: string
}

/** Where to listen for other nodes. */
export interface NativeListenOptions {
  /** Host and port of this machine. */
  listen: string
  /** Where others reach this node; null: there. */
  advertise: string | null
  /** Null: everything is sent openly. */
  tls: NativeTls | null
}

/** A node, and where it is reached. */
export interface NativeMember {
  /** Its id. */
  node: number
  /** Where it is reached. */
  address: string
}

/** A member of a group as its leader sees it. */
export interface NativeMemberStatus {
  /** Its id. */
  node: number
  /** Where it is reached. */
  address: string
  /** It votes. */
  voter: boolean
  /** Up to which index its log is known to be the leader's; only the leader knows. */
  matching: number | null
}

/** How to open an engine. Defaults are the business of the TypeScript side: every field is given. */
export interface NativeOptions {
  /** Where the log and snapshots live; null keeps nothing. */
  directory: string | null
  /** "fsync" or "buffered". */
  durability: string
  /** Nodes of another cluster name are refused. */
  clusterName: string
  /** Milliseconds between a leader's signs of life. */
  heartbeatIntervalMs: number
  /** Milliseconds without a sign of life before a follower stands for election. */
  electionTimeoutMs: number
  /** The least severe lines of the log that come as events: "error", "warn", "info" or "debug". */
  logLevel: string
  /** Most bytes of events that wait for the host before the engine holds groups back. */
  eventQueueBytesMax: number
  /** Most bytes of events that one call of `onEvents` is given, but always one whole event. */
  eventBatchBytesMax: number
}

/** What an engine did since it was opened, and how much is under way. */
export interface NativeStatistics {
  /** Groups that are open. */
  groups: number
  /** Groups that left what their member here had promised. */
  groupsLeftOver: number
  /** Commands taken. */
  commands: number
  /** Entries proposed. */
  entriesProposed: number
  /** Entries with commands given to the host. */
  entriesApplied: number
  /** Commands refused after they were taken. */
  commandsRefused: number
  /** Snapshots written. */
  snapshots: number
  /** Commands that were taken and are not yet applied. */
  pendingCommands: number
  /** Their bytes. */
  pendingBytes: number
  /** Bytes of events that wait for the host. */
  eventBytes: number
  /** Rounds that the journal wrote. */
  journalRounds: number
  /** Times that the disk was asked to make rounds durable. */
  journalFlushes: number
  /** Bytes that the journal takes on disk. */
  journalDiskBytes: number
  /** Nanoseconds that the last round took to be written and made durable. */
  journalLastFlushNanoseconds: number
  /** Bytes of entries that the journal keeps in memory. */
  journalCachedBytes: number
}

/** A group that the journal holds. */
export interface NativeStoredGroup {
  /** Group id. */
  group: number
  /** The bytes that the group was created with. */
  descriptor: Buffer
}

/** Certificates and key, as PEM. */
export interface NativeTls {
  /** Who may sign the nodes' certificates. */
  ca: string
  /** This node's certificate. */
  cert: string
  /** Its key. */
  key: string
  /** The name that every node's certificate carries; null: the host that is dialled. */
  serverName: string | null
}

/** The package's version that this binary was compiled for. */
export declare function version(): string
